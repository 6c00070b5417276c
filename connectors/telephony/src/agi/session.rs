//! One connection of Asterisk, for one call.

use std::time::Duration;

use futures::future::{Either, select};
use rapport_proto::interactions::v1::Call;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::head::{Head, Script};
use super::wire::{Over, Reply, Wire};
use crate::answer::Answer;
use crate::call::{End, Told, agent_of_channel};
use crate::connector::Connector;
use crate::number::Number;

/// How long Asterisk may take to print what is wrong.
const CONSOLE: Duration = Duration::from_millis(500);

/// Answers one connection: returns, and so lets the call go on, within the budget.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, connector: &Connector, since: Instant) {
    let budget = connector.budget(since);
    let mut wire = Wire::new(stream);
    let mut head = Head::default();
    let why = match timeout_at(budget.all, session(&mut wire, &mut head, connector, since)).await {
        Ok(Ok(())) => return,
        Ok(Err(Over::Closed)) => {
            tracing::debug!("Asterisk closed a FastAGI connection after {} headers", head.lines());
            return;
        }
        Ok(Err(Over::Garbage(why))) => why,
        Err(_) => format!("Asterisk did not say all within the budget; it sent {} headers", head.lines()),
    };
    tracing::warn!(call = head.value("agi_uniqueid"), "FastAGI: {why}");
    // Whoever reads Asterisk's console learns it too, if it is Asterisk.
    let told = crate::text::clean(&why, 200);
    let _ = timeout_at(Instant::now() + CONSOLE, wire.command(&format!("VERBOSE \"rapport: {told}\" 1"))).await;
}

async fn session<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    head: &mut Head,
    connector: &Connector,
    since: Instant,
) -> Result<(), Over> {
    while head.line(&wire.line().await?).map_err(Over::Garbage)? {}
    let script = head.script().map_err(Over::Garbage)?;
    let id = head.id().map_err(Over::Garbage)?;
    let (words, problems) = head.words();
    for problem in problems {
        tracing::warn!(call = id, "FastAGI: {problem}");
    }
    let (caller, called) = head.numbers();
    let (theirs, ours) = if words.outbound { (called, caller) } else { (caller, called) };
    let number = if words.restricted {
        Number::Withheld
    } else {
        connector.number(words.number.as_deref().unwrap_or(theirs), words.country.as_deref())
    };
    let told = Told {
        id,
        leg: words.leg.as_deref().unwrap_or_default(),
        // A hang-up need not say again how the call began.
        outbound: (words.outbound || script == Script::Ring).then_some(words.outbound),
        number: Some(&number),
        dialled: words.dialled.as_deref().unwrap_or(ours),
        agent: words.agent.as_deref().unwrap_or_default(),
        started: (script == Script::Ring).then(|| connector.now()),
        source: "asterisk",
    };
    match script {
        Script::Ring => ring(wire, connector, &told.message(), &number, since).await,
        Script::Hangup => hangup(wire, connector, told, words.answered, since).await,
    }
}

/// The call rings: asks who it is, and says so in channel variables.
async fn ring<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    connector: &Connector,
    call: &Call,
    number: &Number,
    since: Instant,
) -> Result<(), Over> {
    let answer = asked(wire, connector, call, number, since).await?;
    if let Some(answer) = answer.filter(Answer::says_something) {
        set(wire, &answer.variables()).await?;
    }
    if wire.hung_up {
        // Nobody can have spoken yet, and a dial plan without `h` extension says nothing more.
        connector.ended(call, End { at: Some(connector.now()), ..End::default() }, Duration::ZERO);
    }
    Ok(())
}

/// Asks who it is; nothing if the caller gave up while we asked.
async fn asked<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    connector: &Connector,
    call: &Call,
    number: &Number,
    since: Instant,
) -> Result<Option<Answer>, Over> {
    let none_yet = Answer::none_yet(number);
    let said = CancellationToken::new();
    let asking = async {
        let answer = connector.ring(call, number, connector.budget(since).ask).await;
        said.cancel();
        answer
    };
    let telling = async {
        // Set beside the question, so that nothing is left to do when there is no answer.
        set(wire, &none_yet.first_variables()).await?;
        // The caller may give up while we ask: then nobody needs the answer.
        tokio::select! {
            gone = wire.hang_up() => gone,
            () = said.cancelled() => Ok(()),
        }
    };
    tokio::pin!(asking, telling);
    match select(telling, asking).await {
        Either::Left((gone, _)) => gone.map(|()| None),
        Either::Right((answer, telling)) => telling.await.map(|()| Some(answer)),
    }
}

async fn set<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    variables: &[(&'static str, &str)],
) -> Result<(), Over> {
    for (name, value) in variables {
        // Values are clean: no quotes, no backslashes, one line.
        if let Reply::Refused(why) = wire.command(&format!("SET VARIABLE {name} \"{value}\"")).await? {
            tracing::warn!("Asterisk does not set {name}: {why}");
        }
    }
    Ok(())
}

/// The call has ended: asks Asterisk how, where the dial plan does not say.
async fn hangup<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    connector: &Connector,
    mut told: Told<'_>,
    answered: Option<bool>,
    since: Instant,
) -> Result<(), Over> {
    let asked = async {
        let dialled = variable(wire, "DIALSTATUS").await?;
        let peer = variable(wire, "DIALEDPEERNAME").await?;
        let up = match (answered, dialled.as_deref()) {
            (Some(answered), _) => answered,
            (None, Some(status)) => status == "ANSWER",
            // Nobody was dialled: whether a queue or a menu answered, the channel's state says.
            (None, None) => variable(wire, "CHANNEL(state)").await?.as_deref() == Some("Up"),
        };
        Ok::<_, Over>((up, peer))
    };
    let (up, peer) = match timeout_at(connector.budget(since).ask, asked).await {
        Ok(Ok((up, peer))) => (Some(up), peer),
        // That the call has ended is told all the same.
        _ => (answered, None),
    };
    if told.agent.is_empty()
        && let Some(peer) = &peer
    {
        told.agent = agent_of_channel(peer);
    }
    let call = told.message();
    if let Some(up) = up {
        connector.answered(&call, up);
    }
    connector.ended(&call, End { at: Some(connector.now()), ..End::default() }, Duration::ZERO);
    Ok(())
}

/// A variable of the channel, if it is set.
async fn variable<S: AsyncRead + AsyncWrite + Unpin>(wire: &mut Wire<S>, name: &str) -> Result<Option<String>, Over> {
    match wire.command(&format!("GET VARIABLE {name}")).await? {
        Reply::Done { result: 1, value } => Ok(value.filter(|value| !value.is_empty())),
        Reply::Done { .. } | Reply::Refused(_) => Ok(None),
    }
}
