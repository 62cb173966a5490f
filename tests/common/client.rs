//! A client of the control socket: requests and replies as lines, and events.

use super::PATIENCE;
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A connection to the control socket. A reply that does not come in time fails the test.
pub struct Client(BufReader<UnixStream>);

impl Client {
    /// `None` when nobody listens there.
    pub fn connect(path: &Path) -> Option<Client> {
        let stream = UnixStream::connect(path).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Some(Client(BufReader::new(stream)))
    }

    /// A connection that somebody else has made, see [`super::user::relay`].
    pub fn on(stream: UnixStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Client(BufReader::new(stream))
    }

    /// The same over TCP.
    pub fn connect_port(port: u16) -> Client {
        let stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("circus listens there");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Client(BufReader::new(std::os::fd::OwnedFd::from(stream).into()))
    }

    /// Exactly so many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).expect("circus sends that much");
        bytes
    }

    pub fn stream(&self) -> &UnixStream {
        self.0.get_ref()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).expect("circus takes what is sent");
    }

    /// The same, to a circus that may have given the connection up.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.get_mut().write_all(bytes.as_ref());
    }

    pub fn send_request(&mut self, request: &Json) {
        self.send(format!("{request}\n"));
    }

    /// The next line; `None` when circus has closed the connection.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap_or_else(|why| panic!("no line from circus: {why}"));
        (read > 0).then_some(line)
    }

    /// The next line as JSON.
    pub fn reply(&mut self) -> Json {
        let line = self.line().expect("circus has closed the connection instead of replying");
        serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line:?}"))
    }

    pub fn call(&mut self, command: &str, properties: Json) -> Json {
        self.send_request(&json!({"command": command, "properties": properties}));
        self.reply()
    }
}

/// A subscriber.
pub struct Events {
    client: Client,
    /// Everything that came so far, with its topic.
    pub seen: Vec<(String, Json)>,
}

impl Events {
    pub fn of(mut client: Client, topics: &[&str]) -> Events {
        let reply = client.call("listen", json!({"topics": topics}));
        assert_eq!(reply["status"], "ok", "{reply}");
        Events { client, seen: Vec::new() }
    }

    /// The next event, whatever it is.
    pub fn next(&mut self) -> (String, Json) {
        let mut event = self.client.reply();
        let topic = event["topic"].as_str().unwrap_or_else(|| panic!("no event: {event}")).to_string();
        self.seen.push((topic.clone(), event["data"].take()));
        self.seen.last().expect("just pushed").clone()
    }

    /// The data of the next event of this topic; others before it are only noted.
    pub fn wait(&mut self, topic: &str) -> Json {
        loop {
            let (found, data) = self.next();
            if found == topic {
                return data;
            }
        }
    }

    /// The same, as the pid that the event is about.
    pub fn pid(&mut self, topic: &str) -> i32 {
        let data = self.wait(topic);
        i32::try_from(data["process_pid"].as_i64().expect("process_pid")).expect("a pid")
    }

    /// The topics that came so far.
    pub fn topics(&self) -> Vec<&str> {
        self.seen.iter().map(|(topic, _)| topic.as_str()).collect()
    }
}
