//! The daemon's metrics, read as a collector reads them.

/// One scrape.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    text: String,
}

impl Metrics {
    /// The page as served.
    pub(crate) fn new(text: String) -> Self {
        Self { text }
    }

    /// Whether a series of this name is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.series().any(|(found, _, _)| found == name)
    }

    /// The sum of all series of this name that have these labels; zero if there are none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{value}\""))
            .collect();
        self.series()
            .filter(|(found, labels, _)| {
                *found == name && wanted.iter().all(|label| labels.contains(label.as_str()))
            })
            .map(|(_, _, value)| value)
            .sum()
    }

    /// The same sum of counters.
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        // The sum of nothing is minus zero.
        let sum = self.sum(name, labels) + 0.0;
        sum.to_string()
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no count: {sum}"))
    }

    fn series(&self) -> impl Iterator<Item = (&str, &str, f64)> {
        self.text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                Some((name, labels, value.parse().ok()?))
            })
    }
}

impl std::fmt::Display for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
