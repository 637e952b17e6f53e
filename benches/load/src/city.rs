//! A tree of topics such as plants and cities have, and wildcard subscriptions over it.
//!
//! Topics are `site/<s>/line/<l>/dev/<d>/m/<m>`: ten metrics for each device, ten devices for each
//! line, and a square of sites and lines. The numbers of lines and devices are unique in the whole
//! tree, and all numbers have the same length.
//!
//! Filters come in *layers*. The filters of one layer match every topic exactly once, together: so
//! each message is delivered once for each layer, whatever a broker does about subscriptions that
//! overlap, as long as no connection has filters of two layers.

/// Metrics of a device, and devices of a line.
const METRICS: usize = City::METRICS;
const DEVICES: usize = 10;

/// A tree of some size.
#[derive(Debug, Clone, Copy)]
pub struct City {
    devices: usize,
    /// Lines of one site.
    lines: usize,
}

/// The filters of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// `site/3/line/7/dev/9/m/+`: a device.
    Device,
    /// `site/+/line/7/dev/9/m/+`: a device, wherever its line is.
    DeviceAnySite,
    /// `site/3/line/7/#`: a line. Ten times fewer filters than the others.
    Line,
    /// `site/3/line/7/dev/+/m/5`: one metric of all devices of a line.
    Metric,
    /// `site/+/line/+/dev/9/#`: a device, wherever it is.
    DeviceAnywhere,
    /// `+/3/line/7/dev/9/#`: a device, again.
    DeviceAnyRoot,
    /// `site/3/+/7/dev/+/+/5`: one metric of all devices of a line, again.
    MetricAnyName,
    /// `site/+/line/7/+/9/#`: a device, once more.
    DeviceAnyName,
}

impl Layer {
    /// In the order in which they are taken.
    pub const ALL: [Self; 8] = [
        Self::Device,
        Self::DeviceAnySite,
        Self::Line,
        Self::Metric,
        Self::DeviceAnywhere,
        Self::DeviceAnyRoot,
        Self::MetricAnyName,
        Self::DeviceAnyName,
    ];
}

/// The names in one topic.
struct Place {
    site: usize,
    line: usize,
    device: usize,
    metric: usize,
}

impl City {
    /// Topics of a device.
    pub const METRICS: usize = 10;

    /// A tree of which these layers have about `filters` filters together, never more.
    pub fn with_filters(filters: usize, layers: &[Layer]) -> Self {
        // In tenths of a filter for each device.
        let tenths: usize = layers
            .iter()
            .map(|layer| if *layer == Layer::Line { 1 } else { 10 })
            .sum();
        Self::with_devices(filters * 10 / tenths.max(1))
    }

    /// A tree of about so many devices: whole lines of them, at least one.
    pub fn with_devices(devices: usize) -> Self {
        let lines = (devices / DEVICES).max(1);
        Self {
            devices: lines * DEVICES,
            lines: lines.isqrt().max(1),
        }
    }

    /// How many topics there are.
    pub fn topics(&self) -> usize {
        self.devices * METRICS
    }

    /// How many filters a layer has.
    pub fn filters(&self, layer: Layer) -> usize {
        match layer {
            Layer::Line => self.devices / DEVICES,
            // As many metrics as devices in a line.
            _ => self.devices,
        }
    }

    /// Which filter of a layer matches a topic.
    #[inline]
    pub fn filter_of(&self, layer: Layer, topic: usize) -> usize {
        let device = topic / METRICS;
        match layer {
            Layer::Line => device / DEVICES,
            Layer::Metric | Layer::MetricAnyName => device / DEVICES * METRICS + topic % METRICS,
            _ => device,
        }
    }

    /// The name of a topic. All have the same length.
    pub fn topic(&self, topic: usize) -> String {
        let place = self.place(topic / METRICS, topic % METRICS);
        format!(
            "site/{:06}/line/{:07}/dev/{:08}/m/{:02}",
            place.site, place.line, place.device, place.metric
        )
    }

    /// A filter of a layer.
    pub fn filter(&self, layer: Layer, index: usize) -> String {
        let place = match layer {
            Layer::Line => self.place(index * DEVICES, 0),
            Layer::Metric | Layer::MetricAnyName => {
                self.place(index / METRICS * DEVICES, index % METRICS)
            }
            _ => self.place(index, 0),
        };
        let site = format!("{:06}", place.site);
        let line = format!("{:07}", place.line);
        let device = format!("{:08}", place.device);
        let metric = format!("{:02}", place.metric);
        match layer {
            Layer::Device => format!("site/{site}/line/{line}/dev/{device}/m/+"),
            Layer::DeviceAnySite => format!("site/+/line/{line}/dev/{device}/m/+"),
            Layer::Line => format!("site/{site}/line/{line}/#"),
            Layer::Metric => format!("site/{site}/line/{line}/dev/+/m/{metric}"),
            Layer::DeviceAnywhere => format!("site/+/line/+/dev/{device}/#"),
            Layer::DeviceAnyRoot => format!("+/{site}/line/{line}/dev/{device}/#"),
            Layer::MetricAnyName => format!("site/{site}/+/{line}/dev/+/+/{metric}"),
            Layer::DeviceAnyName => format!("site/+/line/{line}/+/{device}/#"),
        }
    }

    fn place(&self, device: usize, metric: usize) -> Place {
        let line = device / DEVICES;
        Place {
            site: line / self.lines,
            line,
            device,
            metric,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule of the specification, for the filters of this file.
    fn matches(filter: &str, topic: &str) -> bool {
        let mut levels = topic.split('/');
        for wanted in filter.split('/') {
            match (wanted, levels.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (wanted, Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }

    #[test]
    fn every_layer_matches_every_topic_exactly_once_by_the_filter_that_is_named() {
        let city = City::with_devices(120);
        assert_eq!(city.topics(), 1200);
        for layer in Layer::ALL {
            let filters: Vec<String> = (0..city.filters(layer))
                .map(|index| city.filter(layer, index))
                .collect();
            for topic in (0..city.topics()).step_by(7) {
                let name = city.topic(topic);
                let found: Vec<usize> = (0..filters.len())
                    .filter(|index| matches(&filters[*index], &name))
                    .collect();
                assert_eq!(found, [city.filter_of(layer, topic)], "{layer:?} {name}");
            }
        }
    }

    #[test]
    fn names_are_unique_and_of_one_length() {
        let city = City::with_devices(1000);
        let names: std::collections::BTreeSet<String> =
            (0..city.topics()).map(|topic| city.topic(topic)).collect();
        assert_eq!(names.len(), city.topics());
        let length = city.topic(0).len();
        assert!(names.iter().all(|name| name.len() == length));
    }

    #[test]
    fn the_tree_has_about_as_many_filters_as_asked_for() {
        for filters in [1000, 100_000, 1_000_000] {
            let layers = &Layer::ALL[..5];
            let city = City::with_filters(filters, layers);
            let all: usize = layers.iter().map(|layer| city.filters(*layer)).sum();
            assert!(
                all <= filters && all * 10 >= filters * 9,
                "{filters}: {all}"
            );
        }
    }
}
