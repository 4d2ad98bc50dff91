//! Backblaze B2 as far as Copal speaks its own language: the account's address of S3, whose server is that of [`crate::s3`].

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use crate::environment::TestEnvironment;
use crate::s3::S3Server;

/// An account that has one bucket. It ends when dropped, but for a thread that waits.
#[derive(Debug)]
pub struct B2Account {
    #[expect(dead_code, reason = "ends when it is dropped")]
    server: S3Server,
    variables: Vec<(String, String)>,
}

impl B2Account {
    /// An account whose objects lie in `directory`.
    pub fn start(directory: &Path) -> Self {
        let server = S3Server::start(directory);
        let secret = |wanted: &str| {
            let variables = server.variables();
            let found = variables.into_iter().find(|(name, _)| name == wanted);
            found.expect("an S3 server has credentials").1
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let realm = format!("http://{}", listener.local_addr().unwrap());
        let variables = [
            ("B2_APPLICATION_KEY_ID", secret("AWS_ACCESS_KEY_ID")),
            ("B2_APPLICATION_KEY", secret("AWS_SECRET_ACCESS_KEY")),
            ("B2_ENVIRONMENT", realm),
        ];
        // What `base64` makes of the two.
        let basic = "Y29wYWwtdGVzdHM6a25vd24gdG8gZXZlcnlvbmU=";
        let authorized = format!(
            r#"{{"accountId":"1","apiInfo":{{"storageApi":{{"apiUrl":"","s3ApiUrl":"http://127.0.0.1:{}"}}}}}}"#,
            server.port()
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, basic, &authorized);
            }
        });
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        Self {
            server,
            variables: variables.to_vec(),
        }
    }

    /// The variables that reach this account.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.variables.clone()
    }

    /// An environment whose repository is in the account's bucket.
    pub fn environment(&self) -> TestEnvironment {
        TestEnvironment::new().at("b2://backups/below/a/prefix", self.variables())
    }
}

/// Answers one request and closes the connection.
fn answer(mut stream: TcpStream, basic: &str, authorized: &str) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let asks = head.starts_with("GET /b2api/v3/b2_authorize_account HTTP/1.1");
    let (status, body) = match head.contains(&format!("Basic {basic}\r\n")) {
        true if asks => ("200 OK", authorized),
        true => ("404 Not Found", "{}"),
        false => (
            "401 Unauthorized",
            r#"{"code":"unauthorized","message":"","status":401}"#,
        ),
    };
    let length = body.len();
    // A client that has gone is its own affair.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
}
