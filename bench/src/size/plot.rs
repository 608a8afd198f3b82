//! Curves over two logarithmic axes, as SVG.

use super::axis::Axis;
use super::costs::{ALL, Costs};
use super::table::digits;
use crate::report::{float, thousands, whole};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
/// Where the axes end; the labels of the curves are to the right.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 556.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 384.0;
/// From one label to the next at least.
const LABEL_GAP: f64 = 17.0;
/// Neither bright nor dark, like the colours below, so that all of it can be read on white and on black.
const INK: &str = "#6e7781";
const COLORS: [&str; 5] = ["#2f81f7", "#d9730d", "#2ea043", "#a371f7", "#e5534b"];

/// A picture.
#[derive(Debug, Clone)]
pub(super) struct Plot {
    /// Above it.
    pub(super) title: String,
    /// What goes to the right.
    pub(super) across: String,
    /// What goes up.
    pub(super) up: String,
    /// Where each curve has its points.
    pub(super) xs: Vec<f64>,
    /// The curves.
    pub(super) curves: Vec<Curve>,
}

/// One curve.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    /// Stands at its end.
    pub(super) label: String,
    /// A value for each place on the axis.
    pub(super) ys: Vec<f64>,
}

impl Plot {
    /// What each call costs at each length.
    pub(super) fn of(costs: &[Costs]) -> Self {
        let curve = |label: &str, of: fn(&Costs) -> f64| {
            let ys: Vec<f64> = costs.iter().map(of).collect();
            let last = ys.last().copied().map(digits).unwrap_or_default();
            Curve { label: format!("{label}: {last} µs"), ys }
        };
        Self {
            title: "What a call costs as a lane grows".to_owned(),
            across: "jobs that wait in the lane".to_owned(),
            up: "microseconds, for each job".to_owned(),
            xs: costs.iter().map(|at| float(at.waiting)).collect(),
            curves: ALL.iter().filter_map(|cost| Some(curve(cost.label?, cost.of))).collect(),
        }
    }

    /// The file.
    pub(super) fn svg(&self) -> String {
        let x = Axis::over(self.xs.iter().copied(), (LEFT, RIGHT));
        let ys = self.curves.iter().flat_map(|curve| curve.ys.iter().copied());
        let y = Axis::over(ys, (BOTTOM, TOP)).rounded();
        let mut parts = self.frame();
        for power in y.powers() {
            parts.push(line((LEFT, y.at(power)), (RIGHT, y.at(power)), INK, 0.25));
            parts.push(text((LEFT - 8.0, y.at(power) + 4.0), "end", &plain(power)));
        }
        for at in &self.xs {
            parts.push(line((x.at(*at), TOP), (x.at(*at), BOTTOM), INK, 0.25));
            parts.push(text((x.at(*at), BOTTOM + 18.0), "middle", &plain(*at)));
        }
        let ends = self.curves.iter().map(|curve| y.at(curve.ys.last().copied().unwrap_or_default()));
        let labels = apart(&ends.collect::<Vec<_>>(), LABEL_GAP, BOTTOM);
        for ((curve, color), label) in self.curves.iter().zip(COLORS.iter().cycle()).zip(labels) {
            let points = self.xs.iter().zip(&curve.ys).map(|(at, value)| (x.at(*at), y.at(*value)));
            parts.extend(drawn(&points.collect::<Vec<_>>(), color, label));
            parts.push(text((RIGHT + 24.0, label + 4.0), "start", &curve.label));
        }
        parts.push("</svg>\n".to_owned());
        parts.join("\n")
    }

    /// The beginning of the file, and what stands around the axes.
    fn frame(&self) -> Vec<String> {
        vec![
            format!(
                "<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}' \
                 viewBox='0 0 {WIDTH} {HEIGHT}' role='img' font-family='system-ui, sans-serif' \
                 font-size='12' fill='{INK}'>"
            ),
            format!("<title>{}</title>", escaped(&self.title)),
            format!("<g font-size='15' font-weight='600'>{}</g>", text((16.0, 24.0), "start", &self.title)),
            text((16.0, TOP - 14.0), "start", &self.up),
            text((f64::midpoint(LEFT, RIGHT), BOTTOM + 42.0), "middle", &self.across),
        ]
    }
}

/// A curve with a dot at each point, and a line from its last one to its label.
fn drawn(points: &[(f64, f64)], color: &str, label: f64) -> Vec<String> {
    let pairs: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let mut parts = vec![format!(
        "<polyline points='{}' fill='none' stroke='{color}' stroke-width='2'/>",
        pairs.join(" ")
    )];
    parts.extend(
        points.iter().map(|(x, y)| format!("<circle cx='{x:.1}' cy='{y:.1}' r='3.5' fill='{color}'/>")),
    );
    if let Some(last) = points.last() {
        parts.push(line(*last, (RIGHT + 20.0, label), color, 1.0));
    }
    parts
}

fn line(from: (f64, f64), to: (f64, f64), color: &str, opacity: f64) -> String {
    format!(
        "<line x1='{:.1}' y1='{:.1}' x2='{:.1}' y2='{:.1}' stroke='{color}' stroke-opacity='{opacity}'/>",
        from.0, from.1, to.0, to.1
    )
}

fn text(at: (f64, f64), anchor: &str, words: &str) -> String {
    format!("<text x='{:.1}' y='{:.1}' text-anchor='{anchor}'>{}</text>", at.0, at.1, escaped(words))
}

/// Words that nothing in them can end.
fn escaped(words: &str) -> String {
    // First what all the others bring.
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// A number on an axis.
fn plain(number: f64) -> String {
    if number >= 1.0 {
        thousands(whole(number))
    } else {
        format!("{number:.6}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Moves labels apart that would lie on each other; their order stays, and none is below `bottom`.
fn apart(wanted: &[f64], gap: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|one, other| wanted[*one].total_cmp(&wanted[*other]));
    let mut placed = wanted.to_vec();
    let mut least = f64::NEG_INFINITY;
    for &at in &order {
        placed[at] = placed[at].max(least);
        least = placed[at] + gap;
    }
    let mut most = bottom;
    for &at in order.iter().rev() {
        placed[at] = placed[at].min(most);
        most = placed[at] - gap;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(labels: &[&str]) -> Plot {
        let curve = |label: &&str| Curve { label: (*label).to_owned(), ys: vec![1.0, 1.0, 100.0] };
        Plot {
            title: "Costs & \"lengths\"".to_owned(),
            across: "jobs".to_owned(),
            up: "µs".to_owned(),
            xs: vec![1_000.0, 10_000.0, 100_000.0],
            curves: labels.iter().map(curve).collect(),
        }
    }

    #[test]
    fn words_are_escaped() {
        assert_eq!(escaped("a < b & 'c' > \"d\""), "a &lt; b &amp; &#39;c&#39; &gt; &quot;d&quot;");
        assert_eq!(escaped("&lt;"), "&amp;lt;");
        let svg = plot(&["</text><script>"]).svg();
        assert!(svg.contains(">&lt;/text&gt;&lt;script&gt;</text>"), "{svg}");
        assert!(svg.contains("<title>Costs &amp; &quot;lengths&quot;</title>"), "{svg}");
    }

    #[test]
    fn curve_goes_from_corner_to_corner() {
        let svg = plot(&["one"]).svg();
        assert!(
            svg.starts_with("<svg xmlns='http://www.w3.org/2000/svg' width='760' height='440' "),
            "{svg}"
        );
        assert!(svg.contains("<polyline points='64.0,384.0 310.0,384.0 556.0,60.0' "), "{svg}");
        assert_eq!(svg.matches("<circle ").count(), 3);
        assert_eq!(svg.matches("<text ").count(), svg.matches("</text>").count());
    }

    #[test]
    fn axes_are_numbered() {
        let svg = plot(&["one"]).svg();
        for number in [">1,000<", ">10,000<", ">100,000<", ">1<", ">10<", ">100<"] {
            assert!(svg.contains(number), "{number} is missing in {svg}");
        }
        assert_eq!([0.01, 0.1, 1.0, 1_000.0].map(plain), ["0.01", "0.1", "1", "1,000"]);
    }

    #[test]
    fn labels_do_not_lie_on_each_other() {
        let is_near = |labels: &[f64], wanted: &[f64]| {
            labels.iter().zip(wanted).all(|(label, wanted)| (label - wanted).abs() < 1e-9)
        };
        assert!(is_near(&apart(&[100.0, 300.0], 17.0, 384.0), &[100.0, 300.0]));
        assert!(is_near(&apart(&[105.0, 100.0], 17.0, 384.0), &[117.0, 100.0]));
        assert!(is_near(&apart(&[380.0, 384.0, 383.0], 17.0, 384.0), &[350.0, 384.0, 367.0]));
    }
}
