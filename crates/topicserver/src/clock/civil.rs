//! Dates of the Gregorian calendar and days since the Unix epoch. Years begin in March here,
//! so that the leap day is the last one, and 400 of them are an era of 146,097 days.

/// Days since the Unix epoch.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Milliseconds since the Unix epoch as a date and a time of RFC 3339, in UTC.
#[cfg(any(feature = "cluster", test))]
pub(crate) fn rfc3339(millis: u64) -> String {
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let (days, seconds) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_from_days(days.try_into().unwrap_or(i64::MAX / 1_000_000));
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_a_date_and_every_date_a_day() {
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(days_from_civil(2024, 2, 29)), (2024, 2, 29));
        let mut last = (1969, 12, 31);
        for days in 0..200_000 {
            let date = civil_from_days(days);
            assert_eq!(days_from_civil(date.0, date.1, date.2), days);
            assert!(date > last, "{date:?}");
            last = date;
        }
    }

    #[test]
    fn a_time_is_written_as_in_json() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
        let leap = days_from_civil(2024, 2, 29).unsigned_abs() * 86_400_000;
        assert_eq!(rfc3339(leap + 45_296_789), "2024-02-29T12:34:56.789Z");
        assert_eq!(rfc3339(leap - 1), "2024-02-28T23:59:59.999Z");
    }
}
