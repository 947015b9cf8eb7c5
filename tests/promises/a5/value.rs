//! Values that are likely to be wrong somewhere: boundaries of every limit, odd text, odd numbers, odd times.

use fastrand::Rng;

/// Text that something may take for a command, an end, a direction or a number.
pub const TEXTS: &[&str] = &[
    "",
    " ",
    " blank before",
    "blank after ",
    "'; DROP TABLE providers; --",
    "\" OR 1=1 --",
    "1' UNION SELECT secret_hash FROM tokens --",
    "$1",
    "%s%n%x",
    "%",
    "_",
    "\\",
    "\u{0}",
    "a\u{0}b",
    "line\nbreak",
    "tab\tstop",
    "bell\u{7}",
    "\u{1b}[31mred",
    "delete\u{7f}",
    "next\u{85}line",
    "\u{202e}evil\u{202c}",
    "\u{2066}isolated\u{2069}",
    "zero\u{200b}width",
    "\u{feff}mark",
    "\u{a0}hard",
    "ideographic\u{3000}",
    "\u{fffd}",
    "\u{fffe}\u{ffff}",
    "e\u{301}",
    "\u{130}stanbul",
    "Stra\u{df}e",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\u{10ffff}",
    "../../etc/passwd",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "null",
    "NaN",
    "-1",
    "1e309",
    "0x10",
    "*",
    "****abcd",
    "true",
];

/// Lengths that limits speak of.
const LENGTHS: &[usize] =
    &[1, 39, 50, 63, 64, 99, 100, 101, 199, 200, 201, 256, 257, 499, 500, 501, 1000, 1001, 4096, 4097];

const INTS: &[i64] = &[
    0,
    1,
    -1,
    2,
    3,
    5,
    6,
    9,
    10,
    11,
    20,
    21,
    32,
    33,
    63,
    64,
    99,
    100,
    101,
    500,
    501,
    999,
    1000,
    1001,
    3600,
    86_400,
    1_000_000,
    1_000_001,
    1 << 31,
    (1 << 31) - 1,
    -(1 << 31),
    (1 << 32) - 1,
    1 << 53,
    i64::MAX,
    i64::MAX - 1,
    i64::MIN,
];

const DOUBLES: &[f64] = &[
    0.0,
    -0.0,
    0.5,
    1.0,
    1.000_000_1,
    2.0,
    2.000_000_1,
    -2.0,
    -2.000_000_1,
    1e-320,
    f64::MIN_POSITIVE,
    f64::EPSILON,
    f64::MAX,
    f64::MIN,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

/// Seconds and nanoseconds, of durations and of times.
const MOMENTS: &[(i64, i64)] = &[
    (0, 0),
    (0, 1),
    (0, -1),
    (1, 0),
    (-1, 0),
    (0, 1_000_000),
    (0, 99_999_999),
    (0, 100_000_000),
    (5, 500_000_000),
    (9, 0),
    (9, 1),
    (60, 0),
    (60, 1),
    (59, 999_999_999),
    (600, 0),
    (600, 1),
    (3600, 0),
    (3600, 1),
    (1, -1),
    (-1, 1),
    (0, 999_999_999),
    (0, 1_000_000_000),
    (0, i32::MAX as i64),
    (0, i32::MIN as i64),
    (315_576_000_000, 0),
    (315_576_000_001, 0),
    (i64::MAX, 0),
    (i64::MIN, 0),
    (i64::MAX, 999_999_999),
    (i64::MIN, -999_999_999),
    (1 << 40, 0),
    (253_402_300_799, 999_999_999),
    (253_402_300_800, 0),
    (-62_135_596_800, 0),
    (-62_135_596_801, 0),
    (1_700_000_000, 0),
    (4_000_000_000, 0),
];

pub fn one<'a, T>(random: &mut Rng, of: &'a [T]) -> &'a T {
    &of[random.usize(..of.len())]
}

/// Text as nobody should send it; rarely not even UTF-8.
pub fn text(random: &mut Rng) -> Vec<u8> {
    match random.u8(..16) {
        0..=8 => one(random, TEXTS).as_bytes().to_vec(),
        9..=11 => "x".repeat(*one(random, LENGTHS)).into_bytes(),
        12 => "\u{e4}".repeat(*one(random, LENGTHS)).into_bytes(),
        13 => (0..random.usize(..40)).map(|_| random.char(..)).collect::<String>().into_bytes(),
        14 => (0..random.usize(1..20)).map(|_| random.u8(..)).collect(),
        _ => one(random, &[&b"\xff"[..], b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\xc0\x80"]).to_vec(),
    }
}

pub fn int(random: &mut Rng) -> i64 {
    if random.u8(..8) == 0 { random.i64(..) } else { *one(random, INTS) }
}

pub fn double(random: &mut Rng) -> f64 {
    if random.u8(..8) == 0 { f64::from_bits(random.u64(..)) } else { *one(random, DOUBLES) }
}

pub fn moment(random: &mut Rng) -> (i64, i64) {
    *one(random, MOMENTS)
}
