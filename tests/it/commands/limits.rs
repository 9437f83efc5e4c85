//! `vitals limits show|set`: what they print, and that it holds when the command returns.

use serde_json::json;
use vitals_tests::{
    Answer,
    program::{self, Shared},
    tenant::client,
};

use super::{tenant, token};

#[tokio::test]
async fn what_is_set_holds_when_the_command_returns() {
    let Shared { program, server, .. } = program::shared().await;
    let id = tenant(program, "limits").await;
    let token = token(program, &id, "system/*.rs").await;
    let read = || {
        let url = format!("{}/t/{id}/fhir/Patient/nobody", server.url);
        Answer::of(client().get(url).bearer_auth(&token))
    };
    assert_eq!(read().await.expect(404).header("ratelimit"), "", "the default tier has no quotas");

    let set = ["limits", "set", "--tenant", &id, "--category", "read", "--sustained", "2", "--json"];
    let shown = program.run(&set).await.expect(0).json();
    let row = json!({ "category": "read", "of": "tenant", "from": "tenant", "sustained": 2 });
    assert_eq!(shown, json!({ "tenant": id, "tier": "default", "limits": [row] }));
    for status in [404, 404, 429] {
        assert_eq!(read().await.status, status);
    }
    let people = program.run(&["limits", "show", "--tenant", &id]).await.expect(0);
    assert!(people.stdout.contains("read") && people.stdout.contains("PER MINUTE"), "{}", people.stdout);

    program.run(&["limits", "set", "--tenant", &id, "--category", "read", "--clear"]).await.expect(0);
    read().await.expect(404);
    for (more, exit) in [
        (&["--category", "reads", "--burst", "1"][..], 2),
        (&["--category", "read", "--burst", "0"], 2),
        (&["--category", "read"], 2),
        (&["--category", "read", "--clear", "--burst", "1"], 2),
    ] {
        let arguments = [&["limits", "set", "--tenant", &id], more].concat();
        program.run(&arguments).await.expect(exit);
    }
}
