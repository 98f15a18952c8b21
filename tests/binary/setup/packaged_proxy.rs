//! Reverse proxies of the system's packages, each on a free port with a folder of its own. `tests/run` installs them.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::setup::server_process::free_port;
use crate::setup::wait::{TEST_TIMEOUT, wait_until};

/// A proxy that runs until the test drops it.
pub struct PackagedProxy {
    /// The port on which it listens.
    pub port: u16,
    child: Child,
    folder: TempDir,
}

const NGINX_ARGUMENTS: [&str; 8] = ["-e", "stderr", "-g", "daemon off;", "-p", "FOLDER", "-c", "FOLDER/config"];

fn nginx_config(server: &str) -> String {
    format!(
        "pid FOLDER/pid; error_log stderr; events {{}}\n\
         http {{ access_log off; client_body_temp_path FOLDER; proxy_temp_path FOLDER; fastcgi_temp_path FOLDER;\n\
         uwsgi_temp_path FOLDER; scgi_temp_path FOLDER; server {{ {server} }} }}"
    )
}

impl Drop for PackagedProxy {
    fn drop(&mut self) {
        // SIGTERM, so that a master process also ends its workers.
        let ended = Command::new("kill").arg(self.child.id().to_string()).status();
        drop(ended.map(|_| self.child.wait()));
    }
}

impl PackagedProxy {
    /// nginx with this content of its `server` block, in which `PORT` stands for the port that it listens on.
    pub async fn nginx(server: &str) -> PackagedProxy {
        PackagedProxy::start("nginx", &NGINX_ARGUMENTS, &nginx_config(server), |_| ()).await
    }

    /// nginx for https on `localhost`, with a certificate that it has issued to itself, with these basic constraints:
    /// openssl writes `CA:TRUE` by itself.
    pub async fn nginx_with_own_certificate(location: &str, constraints: &str) -> PackagedProxy {
        let server = format!(
            "listen 127.0.0.1:PORT ssl; ssl_certificate FOLDER/own.crt; ssl_certificate_key FOLDER/own.key; \
             location / {{ {location} }}"
        );
        PackagedProxy::start("nginx", &NGINX_ARGUMENTS, &nginx_config(&server), |folder| {
            let (key, certificate) = (format!("{folder}/own.key"), format!("{folder}/own.crt"));
            let subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
            let constraints = format!("basicConstraints=critical,{constraints}");
            let mut openssl = Command::new("openssl");
            openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
            openssl
                .args(subject)
                .args(["-addext", &constraints])
                .args(["-days", "2", "-keyout", &key, "-out", &certificate])
                .stderr(Stdio::null());
            assert!(openssl.status().expect("openssl is installed: tests/run does that").success());
        })
        .await
    }

    /// lighttpd with `mod_proxy` in front of that port, and these further lines of configuration.
    pub async fn lighttpd(upstream: u16, lines: &str) -> PackagedProxy {
        let config = format!(
            "server.document-root = \"FOLDER\"\nserver.port = PORT\nserver.bind = \"127.0.0.1\"\n\
             server.modules = (\"mod_proxy\")\n\
             proxy.server = (\"\" => ((\"host\" => \"127.0.0.1\", \"port\" => {upstream})))\n{lines}\n"
        );
        PackagedProxy::start("lighttpd", &["-D", "-f", "FOLDER/config"], &config, |_| ()).await
    }

    async fn start(program: &str, arguments: &[&str], config: &str, prepare: impl FnOnce(&str)) -> PackagedProxy {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().to_str().expect("temporary folders have plain names");
        prepare(path);
        let port = free_port();
        let config = config.replace("PORT", &port.to_string()).replace("FOLDER", path);
        fs::write(folder.path().join("config"), config).expect("the folder is there");
        let log = fs::File::create(folder.path().join("log")).expect("the folder is there");
        let arguments = arguments.iter().map(|word| word.replace("FOLDER", path));
        // The packages install them in /usr/sbin, which is not on everybody's path.
        let paths = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("env");
        command.arg(format!("PATH={paths}")).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("env is there");
        let mut proxy = PackagedProxy { port, child, folder };
        wait_until("the proxy listens", TEST_TIMEOUT, || {
            let ended = proxy.child.try_wait().expect("it is our child");
            let log = fs::read_to_string(proxy.folder.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "{program} has ended; tests/run installs it: {log}");
            let listens = TcpStream::connect(("127.0.0.1", port)).is_ok();
            async move { listens.then_some(()) }
        })
        .await;
        proxy
    }
}
