//! Makes inputs out of examples: parts are left out, doubled, moved, exchanged, and mixed with words that mean
//! something. The same seed and number give the same input.

/// Inputs are at most so long, in bytes; now and then one is longer.
const LONGEST: usize = 4 << 10;
const LONGEST_OF_ALL: usize = 64 << 10;
/// One in so many inputs may be that long.
const SELDOM: usize = 200;
/// So many of the examples that were learned last are taken more often than the others.
const NEWEST: usize = 16;

/// Numbers at whose like programs stumble.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "127",
    "128",
    "255",
    "65535",
    "65536",
    "2147483647",
    "-2147483648",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e9",
    "1e400",
    "-1e-400",
    "0.1",
    ".",
    "inf",
    "nan",
    "00000000000000000000000000000001",
    "99999999999999999999999999999999999999",
];

const SEPARATORS: &[&str] = &["\n", " ", "\n\t", "=", ",", "\0", "\r\n", "\u{85}"];

/// Random numbers (splitmix64): not good ones, but the same every time.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64, n: u64) -> Random {
        let mut random =
            Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Else the numbers of each input would be those of the one before it, all but the first.
        random.0 = random.next();
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 when that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// The shorter one of two: it takes less time, and what it does is not hidden by other things.
    fn shorter<'a>(&mut self, items: &'a [Vec<u8>]) -> &'a Vec<u8> {
        let two = [self.pick(items), self.pick(items)];
        if two[0].len() <= two[1].len() { two[0] } else { two[1] }
    }

    /// A part of something: where it begins and ends.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = if self.below(4) == 0 { length - start } else { (length - start).min(16) };
        start..start + self.below(most + 1)
    }
}

pub struct Mutator<'a> {
    examples: Vec<Vec<u8>>,
    /// How many there were at the beginning.
    first: usize,
    words: &'a [String],
}

impl Mutator<'_> {
    pub fn new(examples: Vec<Vec<u8>>, words: &[String]) -> Mutator<'_> {
        assert!(!examples.is_empty() && !words.is_empty());
        Mutator { first: examples.len(), examples, words }
    }

    /// One more example to make inputs of.
    pub fn learn(&mut self, example: &[u8]) {
        self.examples.push(example.to_vec());
    }

    /// The input of this number.
    pub fn input(&self, seed: u64, n: u64) -> Vec<u8> {
        let mut random = Random::new(seed, n);
        // The examples themselves come first.
        if let Some(example) = self.examples.get(n as usize).filter(|_| n < self.first as u64) {
            return example.clone();
        }
        let mut input = match random.below(8) {
            0 => Vec::new(),
            1 => (0..random.below(12)).flat_map(|_| random.pick(self.words).bytes()).collect(),
            2..=4 => random.shorter(self.newest()).clone(),
            _ => random.shorter(&self.examples).clone(),
        };
        let longest = match random.below(SELDOM) {
            0 => LONGEST_OF_ALL,
            _ => LONGEST.min(input.len() + (LONGEST >> random.below(8))),
        };
        // One step at a time leads further than many at once, which undo each other.
        let mut changes = if random.below(2) == 0 { 1 } else { 1 + random.below(6) };
        if random.below(8) == 0 {
            changes *= 4;
        }
        for _ in 0..changes {
            self.change(&mut random, &mut input, longest);
        }
        input.truncate(longest);
        input
    }

    /// What was learned last has come furthest.
    fn newest(&self) -> &[Vec<u8>] {
        match self.examples.len() - self.first {
            0 => &self.examples,
            learned => &self.examples[self.examples.len() - learned.min(NEWEST)..],
        }
    }

    fn change(&self, random: &mut Random, input: &mut Vec<u8>, longest: usize) {
        let at = random.below(input.len() + 1);
        match random.below(17) {
            0..=2 => flip(random, input),
            3 => insert(input, at, &[random.next() as u8]),
            4 => insert(input, at, &random.next().to_le_bytes()),
            5..=7 => insert(input, at, random.pick(self.words).as_bytes()),
            8 => insert(input, at, random.pick(NUMBERS).as_bytes()),
            9 => drop(input.drain(random.part(input.len()))),
            10 => exchange_number(random, input),
            11 => {
                let copy = input[random.part(input.len())].to_vec();
                insert(input, at, &copy);
            }
            12 => repeat(random, input, longest),
            13 => {
                let other = random.pick(&self.examples);
                let part = other[random.part(other.len())].to_vec();
                insert(input, at, &part);
            }
            14 => {
                let other = random.pick(&self.examples);
                input.truncate(at);
                input.extend_from_slice(&other[random.below(other.len() + 1)..]);
            }
            15 => swap_lines(random, input),
            _ => insert(input, at, random.pick(SEPARATORS).as_bytes()),
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}

fn flip(random: &mut Random, input: &mut [u8]) {
    let length = input.len();
    if let Some(byte) = input.get_mut(random.below(length)) {
        *byte ^= 1 << random.below(8);
    }
}

fn exchange_number(random: &mut Random, input: &mut Vec<u8>) {
    let from = random.below(input.len());
    let Some(start) = input.iter().skip(from).position(u8::is_ascii_digit).map(|n| n + from) else { return };
    let end = input.iter().skip(start).position(|b| !b.is_ascii_digit()).map_or(input.len(), |n| n + start);
    input.splice(start..end, random.pick(NUMBERS).bytes());
}

fn repeat(random: &mut Random, input: &mut Vec<u8>, longest: usize) {
    let part = input[random.part(input.len())].to_vec();
    let at = random.below(input.len() + 1);
    let room = longest.saturating_sub(input.len()) / part.len().max(1);
    let times = if random.below(4) == 0 { room } else { room.min(random.below(64)) };
    insert(input, at, &part.repeat(times));
}

fn swap_lines(random: &mut Random, input: &mut Vec<u8>) {
    let mut lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let (a, b) = (random.below(lines.len()), random.below(lines.len()));
    lines.swap(a, b);
    *input = lines.join(&b'\n');
}
