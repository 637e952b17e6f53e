//! From any bytes to what a client sends.

use super::{BINARY, CLOSE, PING, PONG, REQUEST};

/// Takes the input apart.
pub struct Script<'a>(pub &'a [u8]);

impl<'a> Script<'a> {
    pub fn byte(&mut self) -> Option<u8> {
        self.bytes(1).first().copied()
    }

    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// A frame as a client might send it, mostly a right one.
pub fn frame(step: u8, script: &mut Script<'_>) -> Vec<u8> {
    let opcode =
        [BINARY, BINARY, 0, PING, CLOSE, PONG, 1, 11, BINARY, 0][usize::from(step >> 3) % 10];
    let flags = script.byte().unwrap_or(1);
    let size = script.byte().unwrap_or_default();
    let length = match size {
        0..=200 => u64::from(size),
        201..=220 => 65_535,
        221..=240 => 65_536,
        241..=250 => 70_001,
        _ => 1 << 63,
    };
    let (is_final, reserved) = (flags & 1, (flags >> 4) * u8::from(flags & 14 == 14));
    let is_masked = flags & 14 != 12;
    let mut frame = vec![is_final << 7 | (reserved & 7) << 4 | opcode];
    let masked = u8::from(is_masked) << 7;
    // Lengths may be written longer than they have to be.
    match length {
        0..126 if flags & 14 != 10 => frame.push(masked | length as u8),
        0..65_536 => {
            frame.push(masked | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        _ => {
            frame.push(masked | 127);
            frame.extend(length.to_be_bytes());
        }
    }
    let mask = [flags, size, 0, 0x5A];
    let mask = if is_masked { mask } else { [0; 4] };
    if is_masked {
        frame.extend(mask);
    }
    // What a frame says it has need not come, nor all of it.
    let here = if flags & 14 == 8 { length / 2 } else { length }.min(70_001) as usize;
    let chosen = script.bytes(if opcode == CLOSE { 2 } else { 1 });
    let payload = chosen
        .iter()
        .copied()
        .chain((0..).map(|at: usize| at as u8));
    let mask = mask.iter().cycle();
    frame.extend(payload.take(here).zip(mask).map(|(byte, key)| byte ^ key));
    frame
}

/// Conversations to begin at.
pub fn seeds() -> Vec<Vec<u8>> {
    let frame = |kind: u8, rest: &[u8]| [&[kind << 3], rest].concat();
    let (read, write) = (vec![4 | 6 << 3], vec![5 | 2 << 3, 6 | 4 << 3]);
    let binary = frame(0, &[1, 100, 7]);
    let pieces = [
        frame(0, &[0, 126, 7]),
        frame(3, &[1, 4, 1]),
        frame(2, &[1, 210, 1]),
    ]
    .concat();
    let close = frame(4, &[1, 2, 3, 232]);
    let talks = [
        [&binary[..], &read, &write, &close, &read].concat(),
        [&pieces[..], &read, &read, &write, &[7], &read].concat(),
        [
            &binary[..],
            &frame(3, &[1, 125, 0]),
            &write,
            &frame(3, &[1, 0]),
            &read,
            &write,
        ]
        .concat(),
        [&binary[..], &frame(6, &[1, 3, 0]), &read, &write].concat(),
        [&binary[..], &frame(7, &[1, 3, 0]), &read, &read].concat(),
        [&binary[..], &frame(0, &[29, 3, 0]), &read, &[255]].concat(),
        [
            &pieces[..],
            &frame(0, &[9, 250, 0]),
            &read,
            &write,
            &[255],
            &read,
        ]
        .concat(),
    ];
    let schedules: [&[u8]; 5] = [
        &[],
        &[1],
        &[0, 1],
        &[0, 3, 199, 14],
        &[0, 100, 2, 2, 2, 2, 255],
    ];
    let mut seeds = Vec::new();
    for schedule in schedules {
        for (number, talk) in talks.iter().enumerate() {
            let flags = (number as u8 % 2) << 3 | (number as u8 / 4) << 6;
            seeds.push([&[schedule.len() as u8 | flags], schedule, talk].concat());
        }
        seeds.push([&[schedule.len() as u8 | 0x30], schedule, REQUEST].concat());
        seeds.push([&[schedule.len() as u8 | 0x80], schedule, &binary, &talks[1]].concat());
    }
    seeds
}
