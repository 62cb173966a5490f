//! Decimal numbers, in and out.
//!
//! The standard library's reader and writer of floating-point numbers are exact for every number there is, which
//! costs some forty kilobytes of code and tables. Seconds and percentages need neither.

/// The smallest number of 19 digits.
const MANY: u64 = 1_000_000_000_000_000_000;

/// The number that `text` stands for, as Python's `float()` has it: `5`, `-0.25`, `.5`, `1e-3`, `inf`. Exact up to
/// 15 digits. `None` when it is none.
pub fn parse(text: &str) -> Option<f64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1.0, text.get(1..)?),
        b'+' => (1.0, text.get(1..)?),
        _ => (1.0, text),
    };
    if digits.eq_ignore_ascii_case("inf") || digits.eq_ignore_ascii_case("infinity") {
        return Some(sign * f64::INFINITY);
    }
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut number = 0u64;
    let mut places = i32::try_from(fraction.len()).ok()?;
    for byte in whole.bytes().chain(fraction.bytes()) {
        let digit = u64::from(char::from(byte).to_digit(10)?);
        // More digits than a number holds only say how large it is.
        if number < MANY { number = number * 10 + digit } else { places = places.checked_sub(1)? }
    }
    let scale = exponent.saturating_sub(places);
    // Nothing times infinity would be no number.
    let scale = if number == 0 { 0 } else { scale };
    let power = 10f64.powi(scale.saturating_abs().min(400));
    let number = number as f64;
    Some(sign * if scale < 0 { number / power } else { number * power })
}

/// Units, each by its names and by how much it is.
pub type Units = &'static [(&'static [&'static str], f64)];

/// Those of times, in seconds.
pub const TIMES: Units =
    &[(&["ms"], 0.001), (&["s", "sec"], 1.0), (&["m", "min"], 60.0), (&["h"], 3600.0), (&["d"], 86_400.0)];

/// Those of sizes, in bytes.
pub const SIZES: Units = &[
    (&["B"], 1.0),
    (&["K", "KB", "KiB"], 1024.0),
    (&["M", "MB", "MiB"], 1_048_576.0),
    (&["G", "GB", "GiB"], 1_073_741_824.0),
    (&["T", "TB", "TiB"], 1_099_511_627_776.0),
    (&["P", "PB", "PiB"], 1_125_899_906_842_624.0),
];

/// The number that `text` stands for, which has a unit behind it, in any case: `1.5 GiB`. `None` when it is no number or
/// has no unit.
///
/// # Errors
/// There is no such unit: a phrase that completes "`key = text` ...".
pub fn in_units(text: &str, units: Units) -> Result<Option<f64>, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let Some(number) = parse(digits.trim_end()).filter(|_| !unit.is_empty()) else { return Ok(None) };
    let is_meant = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(unit));
    match units.iter().find(|(names, _)| is_meant(names)) {
        Some((_, much)) => Ok(Some(number * much)),
        None => {
            let known: Vec<&str> = units.iter().filter_map(|(names, _)| names.first().copied()).collect();
            Err(format!("has the unknown unit `{unit:.20}`; there are {}", known.join(", ")))
        }
    }
}

/// The time that `text` gives, in seconds: `30`, `0.5`, `5m`.
pub fn seconds(text: &str) -> Option<f64> {
    parse(text).or_else(|| in_units(text, TIMES).ok().flatten())
}

/// `number` rounded to a tenth, without a fraction that is none: `30`, `2.5`.
pub fn short(number: f64) -> String {
    let text = fixed(number, 1);
    text.strip_suffix(".0").map(str::to_string).unwrap_or(text)
}

/// The whole number that `text` stands for. One reader for many callers: each one of its own would be large.
#[inline(never)]
pub fn whole(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// `number` with so many digits behind the point, rounded: `fixed(1.26, 1)` is `1.3`.
pub fn fixed(number: f64, digits: u32) -> String {
    let scale = 10u64.saturating_pow(digits);
    let scaled = (number.abs() * scale as f64).round() as u64;
    let sign = if number < 0.0 && scaled > 0 { "-" } else { "" };
    let (whole, fraction) = (scaled / scale, scaled % scale);
    let width = digits as usize;
    if digits == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction:0width$}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_standard_library_reads_them() {
        let nines = "9".repeat(400);
        let numbers = "0 5 -0.25 .5 5. 1e-3 1E3 +2.5 30 0.1 99999.999 1e400 -inf 0e400 0.0e-400 1e-400 18446744073709551619e9";
        for text in numbers.split(' ').chain([nines.as_str()]) {
            assert_eq!(parse(text), text.parse().ok(), "{text}");
        }
        assert!((parse(&format!("0.{nines}")).unwrap() - 1.0).abs() < 1e-9);
        for bad in ["", ".", "-", "1e", "e5", "1.2.3", "0x1", "1 2", "nan", "one", "--1", "1e99999999999"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_number_may_have_a_unit() {
        let times = ["500ms", "1.5s", "5 m", "2H", "1d", "10min"].map(|text| in_units(text, TIMES));
        assert_eq!(times, [0.5, 1.5, 300.0, 7200.0, 86_400.0, 600.0].map(|n| Ok(Some(n))));
        let sizes = ["1B", "10M", "10MB", "512k", "1GiB", "0.5 kib"].map(|text| in_units(text, SIZES));
        let wanted = [1.0, 10_485_760.0, 10_485_760.0, 524_288.0, 1_073_741_824.0, 512.0];
        assert_eq!(sizes, wanted.map(|n| Ok(Some(n))));
        for none in ["", "5", "m", "inf", "1.2.3s", "5 m s", "5%"] {
            assert_eq!(in_units(none, TIMES), Ok(None), "{none}");
        }
        let why = in_units("10 parsecs", TIMES).unwrap_err();
        assert_eq!(why, "has the unknown unit `parsecs`; there are ms, s, m, h, d");
        assert!(
            in_units("5M", SIZES).is_ok()
                && in_units("5ms", SIZES).is_err()
                && in_units("5MB", TIMES).is_err()
        );
        assert_eq!(["3", "2m", "x", "3x"].map(seconds), [Some(3.0), Some(120.0), None, None]);
    }

    #[test]
    fn numbers_are_rounded_to_the_digits_that_are_wanted() {
        for (number, digits, text) in [
            (1.26, 1, "1.3"),
            (0.0, 2, "0.00"),
            (-0.5, 1, "-0.5"),
            (2.004, 2, "2.00"),
            (7.9, 0, "8"),
            (-0.001, 1, "0.0"),
        ] {
            assert_eq!(fixed(number, digits), text);
        }
    }
}
