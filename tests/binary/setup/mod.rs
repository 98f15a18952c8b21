//! What all tests share: stand-ins for Twilio and the model, the program as a process, the count of answers, waiting.

pub mod answer_tally;
pub mod exposition;
pub mod judges;
pub mod packaged_proxy;
pub mod proxy;
pub mod server_process;
pub mod test_environment;
pub mod wait;
