//! Making a broker, and bringing it up.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use crate::broker::process::Process;
use crate::broker::{Addresses, Broker};
use crate::cli;
use crate::http;
use crate::wait::{PATIENCE, poll};

/// How often starting is tried again because somebody took the port in between.
const ATTEMPTS: usize = 5;

/// What to start.
#[derive(Debug, Clone)]
pub struct Builder {
    bin: PathBuf,
    retention: Option<String>,
    options: Vec<String>,
    config: Option<String>,
    oauth: bool,
}

impl Builder {
    pub(super) fn new(bin: &str) -> Self {
        Self {
            bin: bin.into(),
            retention: None,
            options: Vec::new(),
            config: None,
            oauth: false,
        }
    }

    /// How long expired records can still be read (of `dev`).
    #[must_use]
    pub fn retention(mut self, time: &str) -> Self {
        self.retention = Some(time.to_owned());
        self
    }

    /// A further option of the command, such as `-v` (which is given anyway, once).
    #[must_use]
    pub fn option(mut self, text: &str) -> Self {
        self.options.push(text.to_owned());
        self
    }

    /// `init` and `serve` instead of `dev`; `sections` is appended to the configuration, after
    /// `data`, `key_encryption_key`, `grpc`, `http` and `ops`. The first administrator is enrolled
    /// as `admin`.
    #[must_use]
    pub fn serve(mut self, sections: &str) -> Self {
        self.config = Some(sections.to_owned());
        self
    }

    /// The OAuth front too, of [`serve`](Self::serve); `dev` always has it.
    #[must_use]
    pub fn oauth(mut self) -> Self {
        self.oauth = true;
        self
    }

    /// Starts it, and waits until it is ready.
    pub fn start(self) -> Broker {
        for _ in 1..ATTEMPTS {
            if let Some(broker) = self.attempt() {
                return broker;
            }
        }
        self.attempt().expect("free ports can be found")
    }

    /// Nothing if somebody took a port.
    fn attempt(&self) -> Option<Broker> {
        let mut broker = match &self.config {
            Some(sections) => self.made(sections),
            None => self.dev(),
        };
        match broker.try_launch() {
            Ok(()) => {}
            Err(log) if log.contains("ADDRESS_UNAVAILABLE") => return None,
            Err(log) => panic!("it does not start\n{log}"),
        }
        if broker.serve {
            broker.enrol_first_admin();
        }
        Some(broker)
    }

    fn dev(&self) -> Broker {
        let temp = tempfile::tempdir().expect("a folder can be made");
        let folder = temp.path().join("data");
        let data = folder.display().to_string();
        let mut args = vec!["-v", "dev", "--data", &data];
        for option in ["--grpc", "--http", "--ops"] {
            args.extend([option, "127.0.0.1:0"]);
        }
        if let Some(time) = &self.retention {
            args.extend(["--retention", time]);
        }
        args.extend(self.options.iter().map(String::as_str));
        let args = args.into_iter().map(str::to_owned).collect();
        std::fs::create_dir(&folder).expect("a folder can be made");
        private(&folder);
        Broker {
            bin: self.bin.clone(),
            folder,
            args,
            operator: "operator",
            serve: false,
            process: None,
            addresses: Addresses {
                addr: String::new(),
                http: String::new(),
                ops: String::new(),
                oauth: String::new(),
            },
            _temp: temp,
        }
    }

    /// What `init` makes, with a configuration of our ports.
    fn made(&self, sections: &str) -> Broker {
        let temp = tempfile::tempdir().expect("a folder can be made");
        let folder = temp.path().join("data");
        let [grpc, http, ops, front] = free_ports();
        let url = format!("http://127.0.0.1:{http}");
        let data = folder.display().to_string();
        let init = ["init", "--data", &data, "--trust-domain", "test.taskpass"];
        let init = [&init[..], &["--public-url", &url]].concat();
        cli::run(&self.bin, &[], &init, b"").ok();
        let config = format!(
            "data = \".\"\n[key_encryption_key]\nfile = \"kek\"\n\
             [grpc]\nlisten = \"127.0.0.1:{grpc}\"\n[http]\nlisten = \"127.0.0.1:{http}\"\n\
             [ops]\nlisten = \"127.0.0.1:{ops}\"\n{sections}\n"
        );
        let (front, oauth) = if self.oauth {
            let address = format!("127.0.0.1:{front}");
            let section = format!("[oauth]\nlisten = \"{address}\"\n");
            (format!("https://{address}"), section)
        } else {
            (String::new(), String::new())
        };
        let config = config + &oauth;
        let path = folder.join("taskpass.toml");
        std::fs::write(&path, config).expect("the configuration can be written");
        let path = path.display().to_string();
        let mut args = vec!["serve".to_owned(), "--config".to_owned(), path];
        args.extend(self.options.iter().cloned());
        Broker {
            bin: self.bin.clone(),
            folder,
            args,
            operator: "admin",
            serve: true,
            process: None,
            addresses: Addresses {
                addr: format!("https://127.0.0.1:{grpc}"),
                http: url,
                ops: format!("http://127.0.0.1:{ops}"),
                oauth: front,
            },
            _temp: temp,
        }
    }
}

fn private(folder: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(folder, mode).expect("our own folder can be closed");
}

/// Ports that nobody has at this moment. Somebody may take one before it is used: then try others.
fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port on loopback")
    });
    listeners.map(|listener| listener.local_addr().expect("it is bound").port())
}

impl Broker {
    /// Starts the process and waits until it is ready. The ports of an earlier run may be in use
    /// for a moment: an outgoing connection of another test can have one.
    pub(super) fn launch(&mut self) {
        self.launch_until(&Self::is_ready);
    }

    /// The same, until it answers at all.
    pub(super) fn launch_unready(&mut self) {
        self.launch_until(&Self::answers);
    }

    fn launch_until(&mut self, up: &dyn Fn(&mut Self) -> bool) {
        for _ in 1..ATTEMPTS {
            match self.try_launch_until(up) {
                Ok(()) => return,
                Err(log) if log.contains("ADDRESS_UNAVAILABLE") => {}
                Err(log) => panic!("it does not start\n{log}"),
            }
        }
        if let Err(log) = self.try_launch_until(up) {
            panic!("it does not start\n{log}");
        }
    }

    /// Starts the process once, and says what it logged if it ended before it was ready.
    pub fn try_launch(&mut self) -> Result<(), String> {
        self.try_launch_until(&Self::is_ready)
    }

    fn try_launch_until(&mut self, up: &dyn Fn(&mut Self) -> bool) -> Result<(), String> {
        let earlier = self.log().len();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("a log can be written");
        // Written anew once it is ready.
        let _ = std::fs::remove_file(self.path("env"));
        let mut process = Process::spawn(&self.bin, &self.args, log);
        let ready = poll(PATIENCE, &mut || {
            if !process.is_running() {
                return Some(false);
            }
            up(self).then_some(true)
        });
        let logged = self.log().get(earlier..).unwrap_or_default().to_owned();
        match ready {
            Some(true) => {
                self.process = Some(process);
                Ok(())
            }
            Some(false) => Err(logged),
            None => panic!("it is not ready after {PATIENCE:?}\n{logged}"),
        }
    }

    fn answers(&mut self) -> bool {
        let healthy = http::get(&format!("{}/healthz", self.addresses.ops));
        healthy.is_ok_and(|reply| reply.status == 200)
    }

    fn is_ready(&mut self) -> bool {
        if !self.serve {
            let Some(addresses) = self.exported() else {
                return false;
            };
            self.addresses = addresses;
        }
        let ready = http::get(&format!("{}/readyz", self.addresses.ops));
        ready.is_ok_and(|reply| reply.status == 200)
    }

    /// What the `env` file of a development broker says, once it is whole.
    fn exported(&self) -> Option<Addresses> {
        let text = std::fs::read_to_string(self.path("env")).ok()?;
        let mut said: BTreeMap<_, _> = text
            .lines()
            .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
            .collect();
        said.get("TASKPASS_IDENTITY")?
            .ends_with('\'')
            .then_some(())?;
        let mut take = |name| said.remove(name).map(str::to_owned);
        Some(Addresses {
            addr: take("TASKPASS_ADDR")?,
            http: take("TASKPASS_HTTP")?,
            ops: take("TASKPASS_OPS")?,
            oauth: take("TASKPASS_OAUTH")?,
        })
    }

    fn enrol_first_admin(&self) {
        let file = self.arg("admin-enrolment.json");
        let out = self.identity_folder("admin").display().to_string();
        let args = ["enrol", "--token-file", &file, "--out", &out];
        self.cli("", &args).ok();
    }
}
