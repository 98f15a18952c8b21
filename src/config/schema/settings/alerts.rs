//! The settings of the alerts: the ways in which they reach somebody.

use super::DefaultValue::{Computed, Value};
use super::Group::Monitoring;
use super::Setting;
use super::table::ROW_DEFAULTS;

const GROUP_DEFAULTS: Setting = Setting { group: Monitoring, ..ROW_DEFAULTS };

/// The rows, in the order of the reference.
pub(in crate::config) const ROWS: &[Setting] = &[
    Setting {
        key: "MYNAH_ALERT_EMAIL_TO",
        file_key: "alert_email_to",
        is_list: true,
        expects: "comma-separated e-mail addresses",
        meaning: "Who gets [alerts](monitoring.md#alerts) by e-mail. Needs `SMTP_URL`.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_ALERT_EMAIL_FROM",
        file_key: "alert_email_from",
        default: Computed("the first address of `MYNAH_ALERT_EMAIL_TO`"),
        expects: "an e-mail address",
        meaning: "The sender of these e-mails. Many mail servers accept only addresses of their own.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "SMTP_URL",
        file_key: "smtp_url",
        secret: true,
        expects: "smtp://user:password@host:587 (STARTTLS), or smtps://user:password@host:465 (TLS)",
        meaning: "The mail server. Percent-encode special characters in the user name and the password. With `smtp://`, \
                  mynah requires STARTTLS if there is a password, and else uses it if the server offers it. `?tls=required` and \
                  `?tls=none` say otherwise.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "SMTP_CA",
        file_key: "smtp_ca",
        expects: "a certificate in PEM form, usually in a file that SMTP_CA_FILE names",
        meaning: "A certificate authority of your own that mynah trusts for the mail server, beside the public ones.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_ALERT_SLACK_URL",
        file_key: "alert_slack_url",
        secret: true,
        expects: "an http or https URL",
        meaning: "An incoming webhook of Slack, or of a service that takes the same (Mattermost, Rocket.Chat, Discord with \
                  `/slack` at the end).",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_ALERT_WEBHOOK_URL",
        file_key: "alert_webhook_url",
        secret: true,
        expects: "an http or https URL",
        meaning: "An address that gets each alert as a JSON document.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_ALERT_WEBHOOK_SECRET",
        file_key: "alert_webhook_secret",
        secret: true,
        expects: "whsec_ and at least 24 bytes in base64",
        meaning: "Signs these documents as [Standard Webhooks](https://www.standardwebhooks.com) describes. Create one with \
                  `echo whsec_$(openssl rand -base64 32)`.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_ALERT_NTFY_URL",
        file_key: "alert_ntfy_url",
        secret: true,
        expects: "an http or https URL of a topic, such as https://ntfy.sh/my-topic",
        meaning: "A topic of [ntfy](https://ntfy.sh), which shows alerts on phones.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_ALERT_NTFY_TOKEN",
        file_key: "alert_ntfy_token",
        secret: true,
        expects: "an access token without spaces",
        meaning: "The access token for a topic that needs one.",
        ..GROUP_DEFAULTS
    },
    Setting {
        key: "MYNAH_ALERT_DETAILS",
        file_key: "alert_details",
        default: Value("false"),
        expects: "true or false",
        meaning: "Whether alerts that leave this machine may quote what mynah noted about a conversation, such as why the \
                  contact wants a person. Without it, they hold no phone number, name or word of a contact.",
        ..GROUP_DEFAULTS
    },
];
