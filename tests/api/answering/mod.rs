//! From a message to its answer: the history that the model is shown, models that fail, the typing indicator.

mod answers;
mod fallbacks;
mod history;
mod typing_indicator;
