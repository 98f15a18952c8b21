//! What model calls may cost, and what they did cost.

/// The limits for one period; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Calls to a model.
    pub calls: Option<i64>,
    /// Tokens, input and output.
    pub tokens: Option<i64>,
    /// Millionths of a US dollar.
    pub micros: Option<i64>,
}

impl Budget {
    /// No limit.
    pub const NONE: Budget = Budget { calls: None, tokens: None, micros: None };

    /// Returns whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Budget::NONE
    }
}

/// The limits of all periods. Days and months are those of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// For one contact in a day.
    pub contact_day: Budget,
    /// For all contacts in a day.
    pub day: Budget,
    /// For all contacts in a month.
    pub month: Budget,
}

impl Budgets {
    /// No limits.
    pub const NONE: Budgets = Budgets { contact_day: Budget::NONE, day: Budget::NONE, month: Budget::NONE };
}

/// What calls cost, or what is reserved for a call before its cost is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Calls.
    pub calls: i64,
    /// Tokens, input and output.
    pub tokens: i64,
    /// Millionths of a US dollar.
    pub micros: i64,
}

impl Charge {
    /// Returns this charge plus `times` times the other.
    #[must_use]
    pub fn add_times(self, times: i64, other: Charge) -> Charge {
        let of = |one: i64, other: i64| one.saturating_add(other.saturating_mul(times));
        Charge {
            calls: of(self.calls, other.calls),
            tokens: of(self.tokens, other.tokens),
            micros: of(self.micros, other.micros),
        }
    }
}

/// The price of a million tokens, in millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// The price of input tokens.
    pub input: i64,
    /// The price of output tokens.
    pub output: i64,
}

impl Price {
    /// Returns the price of that many tokens, in millionths of a US dollar, rounded up.
    pub fn cost_micros(self, input: u32, output: u32) -> i64 {
        let total = i128::from(self.input) * i128::from(input) + i128::from(self.output) * i128::from(output);
        i64::try_from((total + 999_999) / 1_000_000).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_rounded_up_to_whole_millionths() {
        let price = Price { input: 250_000, output: 2_000_000 };
        assert_eq!(price.cost_micros(1_000, 100), 250 + 200);
        assert_eq!(price.cost_micros(1, 0), 1);
        assert_eq!(price.cost_micros(0, 0), 0);
        assert_eq!(price.cost_micros(u32::MAX, u32::MAX), 1_073_741_824 + 8_589_934_590);
    }
}
