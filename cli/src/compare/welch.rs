//! Whether two means differ by more than the noise: Welch's test, and Holm's correction for asking it many times.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Mean and variance of a sample (n - 1).
fn moments(samples: &[f64]) -> (f64, f64) {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
    (mean, squares / (count - 1.0))
}

/// How likely means are to be at least so far apart by chance: Welch's t-test, two-sided. At least two samples a side.
pub fn probability(before: &[f64], after: &[f64]) -> f64 {
    let ((mean_before, spread_before), (mean_after, spread_after)) =
        (moments(before), moments(after));
    let (count_before, count_after) = (before.len() as f64, after.len() as f64);
    let (error_before, error_after) = (spread_before / count_before, spread_after / count_after);
    let error = error_before + error_after;
    let apart = (mean_after - mean_before).abs();
    if error <= 0.0 {
        return if apart > 0.0 { 0.0 } else { 1.0 }; // no noise at all: any difference is one
    }
    // Welch-Satterthwaite
    let freedom = error.powi(2)
        / (error_before.powi(2) / (count_before - 1.0) + error_after.powi(2) / (count_after - 1.0));
    let Ok(distribution) = StudentsT::new(0.0, 1.0, freedom) else {
        return 1.0; // numbers beyond what f64 holds decide nothing
    };
    let probability = 2.0 * distribution.sf(apart / error.sqrt());
    if probability.is_nan() {
        1.0
    } else {
        probability.min(1.0)
    }
}

/// Probabilities as they are when each is one of many, in the same order: Holm's step-down, which holds the chance of any
/// false alarm among all to that of one.
pub fn holm(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
    let mut adjusted = vec![0.0; probabilities.len()];
    let mut largest: f64 = 0.0;
    for (place, &index) in order.iter().enumerate() {
        let left = (probabilities.len() - place) as f64;
        largest = largest.max((probabilities[index] * left).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_is_that_of_the_textbooks() {
        // t = 3.7033 with 4.74 degrees of freedom; the density integrated numerically.
        let (a, b) = ([1.0, 2.0, 3.0], [4.0, 5.0, 7.0, 8.0]);
        let p = probability(&a, &b);
        assert!((p - 0.015_343_843).abs() < 1e-8, "{p}");
        assert!((probability(&b, &a) - p).abs() < 1e-15);
    }

    #[test]
    fn samples_without_noise_and_beyond_numbers_are_decided() {
        assert_eq!(
            probability(&[1.0; 3], &[1.0; 3]).to_bits(),
            1.0_f64.to_bits()
        );
        assert_eq!(
            probability(&[1.0; 3], &[2.0; 3]).to_bits(),
            0.0_f64.to_bits()
        );
        let p = probability(&[1e308, 1e308, 1.0], &[1.0, 2.0, 1e-308]);
        assert!((0.0..=1.0).contains(&p));
    }

    #[test]
    fn many_questions_need_better_answers() {
        let adjusted = holm(&[0.01, 0.04, 0.03]);
        let wanted = [0.03, 0.06, 0.06];
        for (found, wanted) in adjusted.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(holm(&[]).is_empty());
    }
}
