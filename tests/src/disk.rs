//! A small disk that can be filled: a tmpfs of its own. Needs the right to mount, which containers rarely give.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A mounted disk, gone when this is dropped or the process ends.
pub struct Disk {
    path: PathBuf,
    undertaker: Child,
}

impl Disk {
    /// Mounts one of this many megabytes; where that is not permitted, says that `what` was not run.
    pub fn mount(what: &str, megabytes: usize) -> Option<Self> {
        let path = std::env::temp_dir().join(format!("vitals-disk-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).expect("a temporary folder can be made");
        let size = format!("size={megabytes}m,mode=0755");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "vitals-test"])
            .arg(&path)
            .stdin(Stdio::null())
            .output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            println!("not run: {what}: this user may not mount a small disk");
            std::fs::remove_dir(&path).ok();
            return None;
        }
        // After the PostgreSQL on it was told to stop.
        let script = format!("read _; sleep 3; umount -l '{0}'; rmdir '{0}'", path.display());
        let undertaker = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh can be started");
        Some(Self { path, undertaker })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills it to the last page.
    pub fn fill(&self) {
        // Ends with what it is there for: no space left.
        let path = self.path.join("balloon");
        let script = format!("dd if=/dev/zero of='{}' bs=64k status=none; true", path.display());
        let status = Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status();
        assert!(status.expect("sh can be started").success(), "the disk cannot be filled");
    }

    /// Gives the space back.
    pub fn free(&self) {
        std::fs::remove_file(self.path.join("balloon")).expect("it was filled");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.undertaker.stdin.take());
    }
}
