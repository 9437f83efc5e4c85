//! One sliding window: how many units the last so many milliseconds hold, and when there is room again.
//!
//! Two buckets, the running one and a weighted last one, let nearly twice the limit through where a burst closes a
//! bucket: while its weight sinks, all of the burst still stands in the window. So a bucket here ends when it holds a
//! thirty-second of the limit, and is spread between its own first and last unit. Only the bucket at the window's far edge
//! is an estimate; no window ever holds more than the limit and a thirty-second, and what comes in small numbers is exact.

use std::collections::VecDeque;

/// No bucket holds a larger part of the limit, unless one request alone does.
const PARTS: u64 = 32;
/// No bucket spans a larger part of the window, so that a lull and a rush do not share one.
const SPANS: u64 = 32;

/// Units that were counted between two moments, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    first: u64,
    last: u64,
    units: u64,
}

impl Bucket {
    /// How many of its units are out of a window that begins behind this moment.
    fn out(&self, edge: u64) -> u64 {
        if edge >= self.last {
            self.units
        } else if edge <= self.first {
            0
        } else {
            product_over(self.units, edge - self.first, self.last - self.first)
        }
    }

    /// The first moment at which so many units are out of a window that begins there.
    fn edge_for(&self, units: u64) -> u64 {
        let span = self.last - self.first;
        let exact = u128::from(units) * u128::from(span);
        let whole = exact.div_ceil(u128::from(self.units.max(1)));
        self.first + u64::try_from(whole).unwrap_or(span).min(span)
    }
}

fn product_over(one: u64, two: u64, divisor: u64) -> u64 {
    let quotient = u128::from(one) * u128::from(two) / u128::from(divisor.max(1));
    u64::try_from(quotient).unwrap_or(u64::MAX)
}

/// A sliding window.
#[derive(Clone, Debug, Default)]
pub struct Window {
    buckets: VecDeque<Bucket>,
    units: u64,
    /// The newest moment it was asked at.
    latest: u64,
}

impl Window {
    /// Units in the window that ends now. A clock that went back takes what was counted along: no time has passed.
    pub fn used(&mut self, now: u64, length: u64) -> u64 {
        if now < self.latest {
            let back = self.latest - now;
            for bucket in &mut self.buckets {
                bucket.first = bucket.first.saturating_sub(back);
                bucket.last = bucket.last.saturating_sub(back);
            }
        }
        self.latest = now;
        let Some(edge) = now.checked_sub(length) else { return self.units };
        while let Some(bucket) = self.buckets.front()
            && bucket.last <= edge
        {
            self.units -= bucket.units;
            self.buckets.pop_front();
        }
        self.units - self.buckets.front().map_or(0, |bucket| bucket.out(edge))
    }

    /// Milliseconds until so many units fit below a limit; none where they fit now. To be asked after
    /// [`Window::used`], with its moment. More than the limit never fits and waits for an empty window.
    pub fn wait(&self, length: u64, limit: u64, units: u64) -> Option<u64> {
        let edge = self.latest.saturating_sub(length);
        let out = self.buckets.front().map_or(0, |bucket| bucket.out(edge));
        let used = self.units - out;
        let mut needed = (used + units.min(limit)).saturating_sub(limit);
        if needed == 0 {
            return None;
        }
        // What is out already of the oldest bucket is out.
        needed += out;
        for bucket in &self.buckets {
            if needed > bucket.units {
                needed -= bucket.units;
                continue;
            }
            return Some((bucket.edge_for(needed) + length).saturating_sub(self.latest).max(1));
        }
        Some(length)
    }

    /// Milliseconds until the first of what it holds is out; the whole length where it holds nothing.
    pub fn eases(&self, length: u64) -> u64 {
        let first =
            self.buckets.front().map_or(self.latest, |bucket| bucket.edge_for(bucket.out(self.edge(length)) + 1));
        (first + length).saturating_sub(self.latest).clamp(1, length.max(1))
    }

    fn edge(&self, length: u64) -> u64 {
        self.latest.saturating_sub(length)
    }

    /// Counts units now. To be asked after [`Window::used`], with its moment.
    pub fn add(&mut self, length: u64, limit: u64, units: u64) {
        let now = self.latest;
        self.units += units;
        if let Some(bucket) = self.buckets.back_mut()
            && bucket.units + units <= limit.div_ceil(PARTS)
            && now.saturating_sub(bucket.first) <= length / SPANS
        {
            bucket.last = bucket.last.max(now);
            bucket.units += units;
            return;
        }
        self.buckets.push_back(Bucket { first: now, last: now, units });
    }

    /// Whether it holds nothing any more.
    pub fn is_idle(&self, now: u64, length: u64) -> bool {
        self.buckets.back().is_none_or(|bucket| bucket.last + length <= now)
    }
}

#[cfg(test)]
mod tests;
