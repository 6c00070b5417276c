//! A pooler between a program and PostgreSQL, as much of one as shows what it does to sessions: clients get a connection
//! for a transaction, and the one that was given back last goes to whoever asks next.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify};

/// Connections to the server, and where clients wait for one.
struct Pool {
    idle: Mutex<VecDeque<TcpStream>>,
    back: Notify,
    /// What the server says at the beginning of a session, for each client.
    greeting: Vec<u8>,
}

/// A pooler of `connections` before the server of a URL; gives the same URL with its own address.
pub(super) async fn pooler(url: &str, connections: usize) -> String {
    let (head, rest) = url.split_once('@').expect("a user");
    let (server, database) = rest.split_once('/').expect("a database");
    let user = head.rsplit('/').next().expect("a user").split(':').next().expect("a user").to_owned();
    let mut idle = VecDeque::new();
    let mut greeting = Vec::new();
    for _ in 0..connections {
        let mut connection = TcpStream::connect(server).await.expect("the server answers");
        greeting = start(&mut connection, &user, database.split('?').next().expect("a name")).await;
        idle.push_back(connection);
    }
    let pool = Arc::new(Pool { idle: Mutex::new(idle), back: Notify::new(), greeting });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { drop(serve(client, &pool).await) });
        }
    });
    format!("{head}@{address}/{database}")
}

/// Begins a session with the server; gives what it says until it is ready.
async fn start(server: &mut TcpStream, user: &str, database: &str) -> Vec<u8> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for text in ["user", user, "database", database] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).expect("short");
    server.write_all(&length.to_be_bytes()).await.expect("sent");
    server.write_all(&body).await.expect("sent");
    let mut said = Vec::new();
    loop {
        let message = message(server).await.expect("the server greets");
        said.extend_from_slice(&message);
        match message[0] {
            b'Z' => return said,
            b'E' => panic!("{}", String::from_utf8_lossy(&message)),
            _ => {}
        }
    }
}

/// One message, with its type and its length.
async fn message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).await?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut message = head.to_vec();
    message.resize(length + 1, 0);
    stream.read_exact(&mut message[5..]).await?;
    Ok(message)
}

async fn serve(mut client: TcpStream, pool: &Pool) -> std::io::Result<()> {
    // The question for TLS is answered with no, the beginning of the session with what the server said.
    loop {
        let length = client.read_u32().await? as usize;
        let mut body = vec![0; length - 4];
        client.read_exact(&mut body).await?;
        if body[..4] == 80_877_103_u32.to_be_bytes() {
            client.write_all(b"N").await?;
        } else {
            break;
        }
    }
    client.write_all(&pool.greeting).await?;
    let mut held: Option<TcpStream> = None;
    loop {
        let asked = message(&mut client).await;
        let Ok(asked) = asked else {
            if let Some(server) = held {
                give_back(pool, server).await;
            }
            return Ok(());
        };
        if asked[0] == b'X' {
            continue;
        }
        let mut server = match held.take() {
            Some(server) => server,
            None => take(pool).await,
        };
        server.write_all(&asked).await?;
        // The extended protocol answers once it is told to (Sync).
        if ![b'Q', b'S'].contains(&asked[0]) {
            held = Some(server);
            continue;
        }
        let status = loop {
            let said = message(&mut server).await?;
            client.write_all(&said).await?;
            if said[0] == b'Z' {
                break said[5];
            }
        };
        // Idle: the transaction is over, and so is the client's claim to this connection.
        if status == b'I' {
            give_back(pool, server).await;
        } else {
            held = Some(server);
        }
    }
}

async fn take(pool: &Pool) -> TcpStream {
    loop {
        let back = pool.back.notified();
        if let Some(server) = pool.idle.lock().await.pop_front() {
            return server;
        }
        back.await;
    }
}

async fn give_back(pool: &Pool, server: TcpStream) {
    pool.idle.lock().await.push_front(server);
    pool.back.notify_one();
}
