//! Times in UTC, as text.

use kafka_batch_core::Timestamp;

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// The days from 0000-01-01 to 1970-01-01.
const DAYS_BEFORE_1970: i64 = 719_528;

/// Returns date and time of day in UTC. Timestamps outside of the years 0 to 9999 are shown in milliseconds, since a
/// timestamp can have any value.
pub(crate) fn utc(time: Timestamp) -> String {
    const YEARS_0_TO_9999: std::ops::Range<i64> = -DAYS_BEFORE_1970 * DAY..2_932_897 * DAY;
    let millis = time.millis();
    if !YEARS_0_TO_9999.contains(&millis) {
        return time.to_string();
    }
    let (year, month, day) = date(millis.div_euclid(DAY));
    let of_day = millis.rem_euclid(DAY);
    let [hours, minutes, seconds] = [of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1_000 % 60];
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}.{:03}", of_day % 1_000)
}

/// Returns the date `days` after 1970-01-01, in the Gregorian calendar. Computes with years that begin in March, so that a
/// leap day is the last day of its year, and with cycles of 400 years, which all have the same number of days.
fn date(days: i64) -> (i64, i64, i64) {
    const CYCLE: i64 = 146_097;
    let days = days + 719_468; // since 1 March of the year 0
    let (cycle, in_cycle) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    let leap_days = in_cycle / 1_460 - in_cycle / 36_524 + in_cycle / 146_096;
    let year = (in_cycle - leap_days) / 365;
    let in_year = in_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153; // 0 is March; from March on the lengths of months repeat 31 30 31 30 31
    let day = in_year - (153 * month + 2) / 5 + 1;
    let january_or_february = i64::from(month >= 10);
    (400 * cycle + year + january_or_february, month + 3 - 12 * january_or_february, day)
}

/// Returns the days from 1970-01-01 to a date; `None` if there is no such date.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year_of_march, month_of_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year_of_march.div_euclid(4) - year_of_march.div_euclid(100) + year_of_march.div_euclid(400);
    let days = 365 * year_of_march + leap_days + (153 * month_of_march + 2) / 5 + day - 1 - 719_468;
    (date(days) == (year, month, day)).then_some(days)
}

/// Parses a time of a command line: a date, a date and a time of day in UTC, or milliseconds since 1970.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    let error = || {
        format!(
            "{text:?} is no time: write 2026-11-29, 2026-11-29T12:00:00.000Z, which is UTC, or milliseconds since 1970"
        )
    };
    let (day, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let [year, month, day] = numbers(day, '-').ok_or_else(error)?;
    let time = time.strip_suffix('Z').unwrap_or(time);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let with_seconds = if time.matches(':').count() == 1 { format!("{time}:00") } else { time.to_owned() };
    let [hours, minutes, seconds] = numbers(&with_seconds, ':').ok_or_else(error)?;
    if hours > 23 || minutes > 59 || seconds > 59 || fraction.is_empty() || !is_digits(fraction) {
        return Err(error());
    }
    // What is finer than a millisecond is dropped.
    let millis: i64 = format!("{fraction:0<3}")[..3].parse().map_err(|_| error())?;
    let day = days(year, month, day).ok_or_else(error)?;
    Ok(((day * 24 + hours) * 60 + minutes) * 60_000 + seconds * 1_000 + millis)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns exactly `N` numbers of at most four digits, with this separator.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let part = |part: &str| ((1..=4).contains(&part.len()) && is_digits(part)).then(|| part.parse().ok()).flatten();
    text.split(separator).map(part).collect::<Option<Vec<i64>>>()?.try_into().ok()
}

/// Formats times of which many are of the same second: its text is kept.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    second: Option<i64>,
    text: String,
}

impl Clock {
    /// Appends what [`utc`] returns; `-` for [`Timestamp::NO_TIMESTAMP`].
    pub(crate) fn append(&mut self, time: Timestamp, line: &mut Vec<u8>) {
        if time == Timestamp::NO_TIMESTAMP {
            line.push(b'-');
            return;
        }
        let (second, millis) = (time.millis().div_euclid(1_000), time.millis().rem_euclid(1_000));
        if self.second != Some(second) {
            self.text = utc(time);
            // Times without a date are milliseconds, which have no second in common.
            self.second = self.text.as_bytes().get(4).filter(|&&byte| byte == b'-').map(|_| second);
            if self.second.is_some() {
                self.text.truncate("2026-11-29 12:00:00".len());
            } else {
                line.extend_from_slice(self.text.as_bytes());
                return;
            }
        }
        line.extend_from_slice(self.text.as_bytes());
        let digit = |number: i64| b'0' + (number % 10) as u8;
        line.extend_from_slice(&[b'.', digit(millis / 100), digit(millis / 10), digit(millis)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_parsed_as_it_is_shown() {
        for millis in [0, 1, -1_000, 951_782_400_000, 1_700_000_000_123, 253_402_300_799_999, -62_167_219_200_000] {
            assert_eq!(parse(&utc(Timestamp::from_millis(millis))), Ok(millis));
        }
        assert_eq!(parse("2023-11-14"), Ok(1_699_920_000_000));
        assert_eq!(parse("2023-11-14T22:13"), Ok(1_699_999_980_000));
        assert_eq!(parse("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000));
        assert_eq!(parse("2023-11-14 22:13:20.5"), Ok(1_700_000_000_500));
        assert_eq!(parse("2023-11-14 22:13:20.123999"), Ok(1_700_000_000_123));
        assert_eq!(parse("-5"), Ok(-5));
        for wrong in [
            "",
            "today",
            "2023-02-29",
            "2023-13-01",
            "2023-01-01T24:00",
            "2023-1",
            "2023-01-01T10:00+02:00",
            "1-1-1.",
            "2023-01-01T1:2:3.",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_clock_shows_each_time_as_it_is_shown_alone() {
        let mut clock = Clock::default();
        for millis in
            [0, 999, 1_000, 1_001, -1, -2, -1_000, i64::MAX, i64::MAX, i64::MIN, 1_700_000_000_007, -62_167_219_200_001]
        {
            let mut shown = Vec::new();
            clock.append(Timestamp::from_millis(millis), &mut shown);
            let alone = if millis == -1 { "-".to_owned() } else { utc(Timestamp::from_millis(millis)) };
            assert_eq!(String::from_utf8_lossy(&shown), alone);
        }
    }
}
