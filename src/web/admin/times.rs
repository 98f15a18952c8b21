//! Times on a page: for people relative, for machines and on hover exact.

use crate::clock::Time;

/// A time as a page shows it.
pub(super) struct ShownTime {
    /// RFC 3339, for `datetime` and `title`.
    pub(super) exact: String,
    /// Such as `5 min ago`.
    pub(super) relative: String,
}

impl ShownTime {
    pub(super) fn new(at: Time, now: Time) -> ShownTime {
        let seconds = (now.millis() - at.millis()) / 1000;
        let relative = match seconds {
            ..0 => format!("in {}", length(-seconds)),
            0..10 => "just now".to_owned(),
            _ => format!("{} ago", length(seconds)),
        };
        ShownTime { exact: at.to_string(), relative }
    }
}

fn length(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        86_400..172_800 => "1 day".to_owned(),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_say_them() {
        let now = Time(1_793_527_200_000);
        for (before, expected) in [
            (0, "just now"),
            (59, "59 s ago"),
            (61, "1 min ago"),
            (7_300, "2 h ago"),
            (90_000, "1 day ago"),
            (200_000, "2 days ago"),
            (-120, "in 2 min"),
        ] {
            assert_eq!(ShownTime::new(Time(now.0 - before * 1000), now).relative, expected);
        }
        assert_eq!(ShownTime::new(now, now).exact, "2026-11-01T10:00:00.000Z");
    }
}
