//! Moments as people write them on a command line.

use std::time::{Duration, SystemTime};

use super::Period;

/// What a moment may look like, for help texts and errors.
pub const MOMENT_FORMS: &str =
    "2026-11-21T05:06:30Z, 2026-11-21T10:36:30+05:30, 2026-11-21 (from midnight, UTC) or 1h (ago)";

/// Reads a moment: RFC 3339 with `Z` or an offset, with a space for `T` and without a zone (then UTC), a date alone (its first moment in UTC), or how
/// long it is ago, seen from `now`, such as `90s`, `1h`, `2d`.
///
/// # Errors
/// What was expected.
pub fn moment(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let text = text.trim();
    let found = ago(text, now).or_else(|| {
        let (local, zone) = zone(text)?;
        let has_time = local.contains([':', 'T', 't']);
        let local = if has_time {
            local.to_owned()
        } else {
            format!("{local}T00:00:00")
        };
        // A zone belongs to a time of day.
        if zone.is_some() && !has_time {
            return None;
        }
        let local = humantime::parse_rfc3339_weak(&local.replacen('t', "T", 1)).ok()?;
        match zone {
            None => Some(local),
            Some((true, offset)) => local.checked_sub(offset),
            Some((false, offset)) => local.checked_add(offset),
        }
    });
    found.ok_or_else(|| format!("expected a time such as {MOMENT_FORMS}"))
}

fn ago(text: &str, now: SystemTime) -> Option<SystemTime> {
    // A bare number would be a time without its unit.
    let with_unit = text.ends_with(|c: char| c.is_ascii_alphabetic()) && !text.contains(['T', 'Z', 'z', ':']);
    now.checked_sub(text.parse::<Period>().ok().filter(|_| with_unit)?.duration())
}

/// Parts the zone off: whether its clocks are ahead of UTC, and by how much. None: what stands there is no zone.
fn zone(text: &str) -> Option<(&str, Option<(bool, Duration)>)> {
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return Some((local, None));
    }
    let Some((at, sign)) = text.char_indices().rev().find(|(_, c)| matches!(c, '+' | '-')) else {
        return Some((text, None));
    };
    let offset = &text[at + 1..];
    // The last dash of a date.
    if !offset.contains(':') || text[..at].matches('-').count() < 2 {
        return Some((text, None));
    }
    let (hours, minutes) = offset.split_once(':')?;
    let two = |digits: &str, most: u64| -> Option<u64> {
        let number = digits.parse().ok().filter(|number| *number <= most)?;
        (digits.len() == 2).then_some(number)
    };
    let seconds = two(hours, 23)? * 3600 + two(minutes, 59)? * 60;
    Some((&text[..at], Some((sign == '+', Duration::from_secs(seconds)))))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn seconds(text: &str) -> Result<u64, String> {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        moment(text, now).map(|moment| moment.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn a_moment_may_have_any_zone_none_or_no_time_of_day() {
        for same in [
            "2026-01-01T00:00:00Z",
            "2026-01-01T05:30:00+05:30",
            "2025-12-31T16:00:00-08:00",
            "2026-01-01 00:00:00",
            "2026-01-01 02:00:00+02:00",
            "2026-01-01T00:00:00",
            "2026-01-01t00:00:00z",
            "2026-01-01T00:00:00.250Z",
            "2026-01-01",
        ] {
            assert_eq!(seconds(same), Ok(1_767_225_600), "{same}");
        }
    }

    #[test]
    fn a_moment_may_be_so_long_ago() {
        assert_eq!(seconds("1h"), Ok(1_800_000_000 - 3600));
        assert_eq!(seconds("90s"), Ok(1_800_000_000 - 90));
        assert_eq!(seconds("2d"), Ok(1_800_000_000 - 172_800));
    }

    #[test]
    fn what_is_no_moment_is_told_what_one_looks_like() {
        for wrong in [
            "",
            "yesterday",
            "3600",
            "2026-13-01",
            "2026-01-01+02:00",
            "2026-01-01T00:00:00+25:00",
            "2026-01-01T00:00:00+2:00",
            "05:30",
        ] {
            let told = seconds(wrong).unwrap_err();
            assert!(told.contains("2026-11-21T10:36:30+05:30"), "{wrong}: {told}");
        }
    }
}
