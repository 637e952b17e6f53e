//! Filters and topics of a made-up but ordinary installation, the same in every run.
//!
//! Topics have five levels, `site/area/line/device/metric`. A site has ten areas, an area ten lines,
//! a line ten devices, a device twenty metrics; there is one device for every eight filters. Of the
//! filters, 80 % are one metric of one device, 15 % contain `+`, 5 % end in `#`; of each wildcard
//! kind most are narrow and few are broad. Subscribers are five times fewer than filters.

use std::hash::BuildHasher;

pub struct Filter {
    pub text: String,
    /// Whose subscription it is. (text, key) occurs once.
    pub key: u64,
}

pub struct DataSet {
    pub filters: Vec<Filter>,
    pub topics: Vec<String>,
}

/// xorshift64*: needs no dependency and gives the same numbers everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = u128::from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)) * u128::from(limit);
        (high >> 64) as u64
    }
}

const METRICS: [&str; 20] = [
    "temperature",
    "pressure",
    "humidity",
    "vibration",
    "speed",
    "torque",
    "voltage",
    "current",
    "power",
    "energy",
    "flow",
    "level",
    "position",
    "state",
    "alarm",
    "firmware",
    "uptime",
    "signal",
    "battery",
    "cycles",
];

struct Device {
    site: String,
    area: String,
    line: String,
    id: String,
}

fn device(number: u64) -> Device {
    let line = number / 10;
    let mut random = Random::new(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    random.below(2);
    Device {
        site: format!("site-{:04}", line / 100),
        area: format!("area-{}", line / 10 % 10),
        line: format!("line-{}", line % 10),
        id: format!("dev-{:012x}", random.below(1 << 48)),
    }
}

fn metric(random: &mut Random) -> &'static str {
    METRICS[random.below(METRICS.len() as u64) as usize]
}

fn topic(devices: u64, random: &mut Random) -> String {
    let Device {
        site,
        area,
        line,
        id,
    } = device(random.below(devices));
    format!("{site}/{area}/{line}/{id}/{}", metric(random))
}

fn filter(devices: u64, random: &mut Random) -> String {
    let Device {
        site,
        area,
        line,
        id,
    } = device(random.below(devices));
    let metric = metric(random);
    let (kind, breadth) = (random.below(100), random.below(1000));
    match (kind, breadth) {
        (0..80, _) => format!("{site}/{area}/{line}/{id}/{metric}"),
        (80..95, 0..700) => format!("{site}/{area}/{line}/{id}/+"),
        (80..95, 700..930) => format!("{site}/{area}/{line}/+/{metric}"),
        (80..95, 930..980) => format!("{site}/{area}/+/+/{metric}"),
        (80..95, 980..990) => format!("{site}/+/+/+/{metric}"),
        (80..95, _) => format!("+/{area}/{line}/{id}/{metric}"),
        (_, 0..700) => format!("{site}/{area}/{line}/{id}/#"),
        (_, 700..970) => format!("{site}/{area}/{line}/#"),
        (_, 970..995) => format!("{site}/{area}/#"),
        _ => format!("{site}/#"),
    }
}

/// `count` filters, and 65,536 topics of which two thirds equal one of the filters without
/// wildcards and the others are any metric of any device.
pub fn generate(count: usize) -> DataSet {
    let mut random = Random::new(2026);
    let devices = (count as u64 / 8).max(1);
    let subscribers = (count as u64 / 5).max(1);
    // Of hashes, so that what is thrown away afterwards is one large block, which the allocator gives
    // back: the growth of the resident set is measured after this.
    let hasher = hashbrown::DefaultHashBuilder::default();
    let mut seen = std::collections::HashSet::with_capacity(count);
    let mut filters = Vec::with_capacity(count);
    while filters.len() < count {
        let text = filter(devices, &mut random);
        let key = random.below(subscribers);
        if seen.insert(hasher.hash_one((&text, key))) {
            filters.push(Filter { text, key });
        }
    }
    let topics = (0..65_536)
        .map(|at| {
            loop {
                if at % 3 == 0 {
                    break topic(devices, &mut random);
                }
                let text = &filters[random.below(count as u64) as usize].text;
                if !text.contains(['+', '#']) {
                    break text.clone();
                }
            }
        })
        .collect();
    DataSet { filters, topics }
}

/// `count` different topics, eight of each device.
pub fn topics(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| {
            let Device {
                site,
                area,
                line,
                id,
            } = device(number as u64 / 8);
            format!("{site}/{area}/{line}/{id}/{}", METRICS[number % 8])
        })
        .collect()
}
