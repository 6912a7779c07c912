//! Small bar charts, drawn as SVG on the server. What they show is also said in words.

use maud::{Markup, html};

/// The drawing's size, in its own units.
const WIDTH: u64 = 480;
const HEIGHT: u64 = 150;
/// Room below for the labels, and above for the largest number.
const BELOW: u64 = 20;
const ABOVE: u64 = 16;

/// A bar: what it stands for, how its parts are high, and whether its label is written below it.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) parts: Vec<u64>,
    pub(super) labelled: bool,
}

impl Bar {
    fn height(&self) -> u64 {
        self.parts.iter().sum()
    }
}

/// Bars side by side, their parts one upon another. `words` say the same.
pub(super) fn bars(bars: &[Bar], words: &str) -> Markup {
    let most = bars.iter().map(Bar::height).max().unwrap_or(0).max(1);
    let count = u64::try_from(bars.len()).unwrap_or(1).max(1);
    let step = WIDTH / count;
    let middle = |x: u64| x + step / 2;
    let floor = HEIGHT - BELOW;
    html! {
        svg class="chart" role="img" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } aria-label=(words) {
            @for share in [1, 2] {
                @let y = floor - (floor - ABOVE) * share / 2;
                line class="grid" x1="0" x2=(WIDTH) y1=(y) y2=(y) {}
            }
            @for (bar, x) in bars.iter().zip((0..).map(|index: u64| index * step)) {
                g {
                    title { (bar.name) ": " (bar.height()) }
                    @for (part, height, y) in stacked(bar, most, floor) {
                        @if height > 0 {
                            rect class={ "part p" (part) } x=(x + step / 8) y=(y) width=(step * 3 / 4) height=(height) rx="2" {}
                        }
                    }
                    @if bar.labelled {
                        text class="label" x=(middle(x)) y=(HEIGHT - 5) { (bar.name) }
                    }
                }
            }
            line class="floor" x1="0" x2=(WIDTH) y1=(floor) y2=(floor) {}
            text class="label most" x="2" y="11" { (most) }
        }
    }
}

/// The parts of a bar, from the floor up: which, how high, and where its top is. What there is can be seen.
fn stacked(bar: &Bar, most: u64, floor: u64) -> Vec<(usize, u64, u64)> {
    let mut top = floor;
    bar.parts
        .iter()
        .enumerate()
        .map(|(part, count)| {
            let height = ((floor - ABOVE) * count / most).max(u64::from(*count > 0) * 2);
            top = top.saturating_sub(height);
            (part, height, top)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(parts: &[u64]) -> Bar {
        Bar {
            name: "13:00".to_owned(),
            parts: parts.to_vec(),
            labelled: true,
        }
    }

    #[test]
    fn parts_stand_upon_one_another_within_the_chart() {
        let full = stacked(&bar(&[30, 10]), 40, 130);
        assert_eq!(full, [(0, 85, 45), (1, 28, 17)]);
        let little = stacked(&bar(&[1, 0]), 10_000, 130);
        assert_eq!(little[0].1, 2, "one is seen beside ten thousand");
        assert_eq!(little[1].1, 0);
    }

    #[test]
    fn a_chart_says_what_it_shows() {
        let svg = bars(&[bar(&[3]), bar(&[0])], "3 <answers>").into_string();
        assert!(svg.contains(r#"aria-label="3 &lt;answers&gt;""#), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 1);
        assert!(svg.contains("<title>13:00: 3</title>"), "{svg}");
        assert!(bars(&[], "nothing").into_string().contains("nothing"));
    }
}
