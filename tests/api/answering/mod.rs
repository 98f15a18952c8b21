//! From a message to its answer: the history that the model is shown, models that fail, the typing indicator.

mod answers;
mod bursts;
mod circuit_breaker;
mod fallbacks;
mod history;
mod output_filter;
mod typing_indicator;
