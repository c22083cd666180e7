//! How much there was at most in a second, a minute, a day: any such span, as counts have them.

use std::time::Duration;

use crate::policy::{decimal::Amount, rules::Window};

/// What was seen of something, with its times.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The most of a request.
    pub most: Amount,
    /// Milliseconds since 1970, and how much.
    times: Vec<(u64, Amount)>,
}

impl Taken {
    pub(super) fn add(&mut self, time: Duration, amount: Amount) {
        self.most = self.most.max(amount);
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.times.push((millis, amount));
    }

    /// The most of any such window.
    pub(super) fn most_of(&self, window: Window) -> Amount {
        let (span, spans) = window.spans();
        let mut times = self.times.clone();
        times.sort_unstable();
        let (mut first, mut sum, mut most) = (0, Amount::default(), Amount::default());
        for (millis, amount) in &times {
            while times[first].0 / span + (spans as u64) <= millis / span {
                sum = Amount(sum.0.saturating_sub(times[first].1.0));
                first += 1;
            }
            sum = sum.plus(*amount);
            most = most.max(sum);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_any_span_and_none_of_the_calendar() {
        let mut taken = Taken::default();
        // Over midnight, and in the second in which another begins; not in the order of time.
        for millis in [
            86_400_100,
            86_399_900,
            86_399_950,
            200_000_000,
            200_000_000 + 25 * 3_600_000,
        ] {
            taken.add(Duration::from_millis(millis), Amount::whole(2));
        }
        assert_eq!(taken.most, Amount::whole(2));
        assert_eq!(taken.most_of(Window::Second), Amount::whole(6));
        assert_eq!(taken.most_of(Window::Minute), Amount::whole(6));
        assert_eq!(taken.most_of(Window::Day), Amount::whole(6));
        taken.add(
            Duration::from_millis(86_400_000 + 23 * 3_600_000),
            Amount::whole(2),
        );
        assert_eq!(taken.most_of(Window::Day), Amount::whole(8));
    }
}
