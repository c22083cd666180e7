//! Figures of several rounds.

pub fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

pub fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A figure of several rounds, each with what it is measured against in the same seconds: the machine may be slower in one
/// round than in another, and is so for both.
#[derive(Default)]
pub struct Rounds(Vec<[f64; 2]>);

impl Rounds {
    pub fn push(&mut self, figure: f64, against: f64) {
        self.0.push([figure, against]);
    }

    pub fn figure(&self) -> f64 {
        self.middle(|[figure, _]| figure)
    }

    pub fn against(&self) -> f64 {
        self.middle(|[_, against]| against)
    }

    pub fn ratio(&self) -> f64 {
        self.middle(|[figure, against]| figure / against)
    }

    pub fn middle(&self, of: impl Fn([f64; 2]) -> f64) -> f64 {
        middle(self.0.iter().copied().map(of).collect())
    }
}
