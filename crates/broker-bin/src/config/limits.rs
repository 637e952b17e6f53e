//! The section `limits`: every limit of the broker, each by its name in camel case.

use mosca::{IpNetwork, Rate};

use super::section::{Section, SectionError};
use crate::limits::{Given, Kind, Limits};

/// Reads the section to its end.
pub(super) fn read(mut section: Section<'_>) -> Result<Limits, SectionError> {
    let mut limits = Limits::default();
    for limit in Limits::known() {
        let key = &limit.key;
        let given = match limit.kind {
            Kind::Number { from, to, unit } => {
                let number = section.integer(key, from..=to, unit)?;
                number.map(Given::Number)
            }
            Kind::Flag => section.boolean(key)?.map(Given::Flag),
            Kind::Words(words) => {
                let words: Vec<_> = words.iter().map(|&word| (word, word)).collect();
                section.one_of(key, &words)?.map(Given::Word)
            }
            Kind::Rate => rate(&mut section, key)?.map(Given::Rate),
            Kind::Networks => networks(&mut section, key)?.map(Given::Networks),
        };
        if let Some(given) = given {
            limits.set(key, given);
        }
    }
    section.finish()?;
    Ok(limits)
}

/// `{ "perSecond": 100, "burst": 1000 }`, or false for no limit at all.
pub(super) fn rate(
    section: &mut Section<'_>,
    key: &'static str,
) -> Result<Option<Option<Rate>>, SectionError> {
    let expected = "an object with perSecond and, if it differs, burst; or false for no limit";
    let Some(inner) = section.switch_or_section(key, expected)? else {
        return Ok(None);
    };
    let Some(mut inner) = inner else {
        return Ok(Some(None));
    };
    let range = 1..=u64::from(u32::MAX);
    let mut number = |key| {
        let number = inner.integer(key, range.clone(), "")?;
        Ok(number.and_then(|number| u32::try_from(number).ok()))
    };
    let (each_sec, burst) = (number("perSecond")?, number("burst")?);
    let each_sec = each_sec
        .ok_or_else(|| inner.missing("perSecond", "a whole number from 1 to 4294967295"))?;
    inner.finish()?;
    let rate = Rate::per_sec(each_sec);
    Ok(Some(Some(
        burst.map_or(rate, |burst| rate.with_burst(burst)),
    )))
}

/// A list of IP networks.
fn networks(
    section: &mut Section<'_>,
    key: &'static str,
) -> Result<Option<Vec<IpNetwork>>, SectionError> {
    if !section.has(key) {
        return Ok(None);
    }
    let texts = section.strings(key)?.into_iter();
    let networks = texts.map(|text| {
        let parsed = text.parse();
        parsed.map_err(|_| {
            let reason = format!("has {text:?}, which is no IP network such as 10.0.7.0/24");
            section.conflict(key, reason)
        })
    });
    networks.collect::<Result<_, _>>().map(Some)
}
