//! The configuration: every setting is valid, and none looks like a mistake.

use std::path::Path;

use super::finding::Finding;
use super::{database, identity};
use crate::app::load_configuration;
use crate::config::{Config, DataConfig, Problems, Sources};
use crate::secrets::SecretsError;
use crate::store::StoreError;

const NAME: &str = "configuration";

/// Reads the configuration from every layer. If the stored part of it cannot be read, the check of the database says so,
/// and the rest of the configuration is returned.
pub(super) fn check(sources: Sources) -> (Vec<Finding>, Option<Config>, Option<DataConfig>) {
    let data = Config::load_data(sources.clone()).ok();
    let loaded = match load_configuration(sources.clone()) {
        Ok((config, _)) => Ok(config),
        Err(error) => match error.downcast::<Problems>() {
            Ok(problems) => Err(problems),
            Err(_) => Config::load(sources),
        },
    };
    match loaded {
        Ok(config) => {
            let mut findings = vec![Finding::ok(NAME, "read without errors")];
            let remedy = "correct the setting, or leave it if this is what you want";
            findings.extend(config.warnings.iter().map(|warning| Finding::warning(NAME, warning, remedy)));
            (findings, Some(config), data)
        }
        Err(problems) => (explain_problems(&problems), None, data),
    }
}

fn explain_problems(problems: &Problems) -> Vec<Finding> {
    let each = problems.iter().map(|problem| {
        Finding::failed(
            NAME,
            format!("{}: found {}", problem.place(), problem.found()),
            format!("set it to what is expected: {}", problem.expected()),
        )
    });
    each.collect()
}

/// Explains why mynah cannot be set up with a valid configuration.
pub(super) fn explain_build_error(error: &anyhow::Error, database: &Path) -> Finding {
    let found = format!("{error:#}");
    if let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<StoreError>()) {
        return database::explain_error(error, database);
    }
    if error.chain().any(|cause| cause.is::<SecretsError>()) {
        return Finding::failed(identity::NAME, found, identity::REMEDY);
    }
    Finding::failed("set-up", found, "correct what this names; `mynah serve` would end with the same error")
}
