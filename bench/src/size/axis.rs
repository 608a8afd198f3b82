//! A logarithmic axis.

/// Closer than this, two logarithms are the same.
const SAME: f64 = 1e-9;

/// Puts values above 0 on a line of pixels, by their logarithms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    /// Logarithms of the lowest value and of the highest one; never the same.
    logs: (f64, f64),
    /// Where these two lie.
    pixels: (f64, f64),
}

impl Axis {
    /// From the lowest of these values to the highest; one alone lies in the middle.
    pub(super) fn over(values: impl IntoIterator<Item = f64>, pixels: (f64, f64)) -> Self {
        let logs = values.into_iter().filter(|value| *value > 0.0).map(f64::log10);
        let (mut low, mut high) =
            logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), log| (low.min(log), high.max(log)));
        if low > high {
            (low, high) = (0.0, 0.0);
        }
        if high - low < SAME {
            (low, high) = (low - 0.5, high + 0.5);
        }
        Self { logs: (low, high), pixels }
    }

    /// The same, but from a power of ten to a power of ten.
    #[must_use]
    pub(super) fn rounded(self) -> Self {
        Self { logs: ((self.logs.0 + SAME).floor(), (self.logs.1 - SAME).ceil()), ..self }
    }

    /// Where a value lies; one beyond an end lies at that end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let ((low, high), (start, end)) = (self.logs, self.pixels);
        let log = value.max(f64::MIN_POSITIVE).log10().clamp(low, high);
        start + (log - low) / (high - low) * (end - start)
    }

    /// The powers of ten on it, ascending.
    pub(super) fn powers(&self) -> Vec<f64> {
        let first = (self.logs.0 - SAME).ceil();
        let logs = std::iter::successors(Some(first), |log| Some(log + 1.0));
        logs.take_while(|log| *log <= self.logs.1 + SAME).map(|log| 10f64.powf(log)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(value: f64, wanted: f64) {
        assert!((value - wanted).abs() < 1e-6, "{value} is not {wanted}");
    }

    #[test]
    fn powers_of_ten_lie_at_equal_distances() {
        let axis = Axis::over([1_000.0, 1_000_000.0, 10_000.0], (60.0, 360.0));
        for (value, wanted) in [(1_000.0, 60.0), (10_000.0, 160.0), (100_000.0, 260.0), (1_000_000.0, 360.0)]
        {
            near(axis.at(value), wanted);
        }
        near(axis.at(10f64.powf(3.5)), 110.0);
    }

    #[test]
    fn axis_may_rise_against_the_pixels() {
        let axis = Axis::over([1.0, 100.0], (300.0, 100.0));
        near(axis.at(1.0), 300.0);
        near(axis.at(10.0), 200.0);
        near(axis.at(100.0), 100.0);
    }

    #[test]
    fn values_beyond_an_end_stay_on_the_axis() {
        let axis = Axis::over([1.0, 100.0], (0.0, 200.0));
        for (value, wanted) in [(0.0, 0.0), (-5.0, 0.0), (f64::NAN, 0.0), (1e9, 200.0)] {
            near(axis.at(value), wanted);
        }
    }

    #[test]
    fn rounded_axis_ends_at_powers_of_ten() {
        let axis = Axis::over([0.05, 42.0], (0.0, 400.0)).rounded();
        let powers = axis.powers();
        assert_eq!(powers.len(), 5, "{powers:?}");
        for (power, wanted) in powers.iter().zip([0.01, 0.1, 1.0, 10.0, 100.0]) {
            near(*power, wanted);
        }
        near(axis.at(0.01), 0.0);
        near(axis.at(100.0), 400.0);
        // What is a power of ten already stays.
        assert_eq!(Axis::over([1.0, 1_000.0], (0.0, 1.0)).rounded().powers().len(), 4);
    }

    #[test]
    fn one_value_or_none_lies_in_the_middle() {
        near(Axis::over([1_000.0], (0.0, 200.0)).at(1_000.0), 100.0);
        near(Axis::over([], (0.0, 200.0)).at(1.0), 100.0);
    }
}
