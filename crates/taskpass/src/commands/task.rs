//! `taskpass task …`.

mod used;

use taskpass_api::v1;
use taskpass_core::ttl::MAX_TASK_TTL;

use super::pages;
use crate::cli::PageArgs;
use crate::cli::task::{ListArgs, StartArgs, TaskCommand, TreeArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::session::Session;
use crate::values;
use crate::view::listing::Listing;
use crate::view::task::{Completed, Started, Task};
use crate::view::tree::{Branch, Forest, Node};

/// How many tasks a tree shows at most.
const MAX_TREE: u32 = 1000;

/// Runs one of the task commands.
pub(crate) async fn run(context: &Context, command: TaskCommand) -> Result<(), CliError> {
    match command {
        TaskCommand::Start(args) => start(context, args).await,
        TaskCommand::List(args) => list(context, args).await,
        TaskCommand::Show(args) => {
            let session = context.session().await?;
            context.output.show(&get(&session, args.task).await?)
        }
        TaskCommand::Tree(args) => tree(context, args).await,
        TaskCommand::Complete(args) => complete(context, args.task).await,
        TaskCommand::Used(args) => used::run(context, args).await,
    }
}

async fn start(context: &Context, args: StartArgs) -> Result<(), CliError> {
    let request = start_request(args)?;
    let mut tasks = context.session().await?.tasks();
    let reply = tasks.start(request).await?.into_inner();
    context.output.show(&Started::from(reply))
}

fn start_request(args: StartArgs) -> Result<v1::StartRequest, CliError> {
    Ok(v1::StartRequest {
        ttl: values::maybe_ttl(args.ttl.as_deref(), MAX_TASK_TTL)?,
        scopes: values::scope_refs(&args.scopes)?,
        purpose: args.purpose,
        parent_task_id: args.parent.unwrap_or_default(),
        agent: args.agent.unwrap_or_default(),
        idempotency_key: args.idempotency_key.unwrap_or_default(),
    })
}

async fn get(session: &Session, task_id: String) -> Result<Task, CliError> {
    let request = v1::GetTaskRequest { task_id };
    let reply = session.tasks().get(request).await?.into_inner();
    let task = reply.task.ok_or_else(|| CliError::bad_reply("task"))?;
    Ok(task.into())
}

async fn complete(context: &Context, task_id: String) -> Result<(), CliError> {
    let mut tasks = context.session().await?.tasks();
    let request = v1::CompleteRequest { task_id };
    let reply = tasks.complete(request).await?.into_inner();
    let task = reply.task.ok_or_else(|| CliError::bad_reply("task"))?;
    context
        .output
        .show(&Completed::new(task, reply.credentials))
}

async fn list(context: &Context, args: ListArgs) -> Result<(), CliError> {
    let session = context.session().await?;
    let filter = v1::ListTasksRequest {
        page: None,
        agent: args.agent.unwrap_or_default(),
        parent_task_id: args.parent.unwrap_or_default(),
        active_only: args.active,
    };
    context
        .output
        .show(&read(&session, &args.page, &filter).await?)
}

async fn read(
    session: &Session,
    page: &PageArgs,
    filter: &v1::ListTasksRequest,
) -> Result<Listing<Task>, CliError> {
    pages::read(page, async |page| {
        let request = v1::ListTasksRequest {
            page: Some(page),
            ..filter.clone()
        };
        let reply = session.tasks().list(request).await?.into_inner();
        let tasks = reply.tasks.into_iter().map(Task::from).collect();
        Ok((tasks, reply.next_page_token))
    })
    .await
}

async fn tree(context: &Context, args: TreeArgs) -> Result<(), CliError> {
    let session = context.session().await?;
    let (tasks, truncated) = match args.task {
        Some(top) => subtree(&session, top).await?,
        None => running(&session, args.agent.unwrap_or_default()).await?,
    };
    context.output.show(&Forest {
        tasks: Node::forest(tasks),
        truncated,
    })
}

/// Whatever is running.
async fn running(session: &Session, agent: String) -> Result<(Vec<Branch>, bool), CliError> {
    let filter = v1::ListTasksRequest {
        agent,
        active_only: true,
        ..v1::ListTasksRequest::default()
    };
    let listing = read(session, &up_to(MAX_TREE), &filter).await?;
    let truncated = !listing.next_page_token.is_empty();
    Ok((
        listing.items.into_iter().map(Into::into).collect(),
        truncated,
    ))
}

/// A task and whatever is beneath it.
async fn subtree(session: &Session, top: String) -> Result<(Vec<Branch>, bool), CliError> {
    let request = v1::TreeRequest {
        task_id: top,
        limit: MAX_TREE,
    };
    let reply = session.tasks().tree(request).await?.into_inner();
    let nodes = reply.nodes.into_iter().map(|node| {
        let task = node.task.ok_or_else(|| CliError::bad_reply("task"))?;
        Ok(Branch::counted(task, node.credentials, node.exact))
    });
    Ok((nodes.collect::<Result<_, CliError>>()?, reply.truncated))
}

fn up_to(limit: u32) -> PageArgs {
    PageArgs {
        limit,
        page_token: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn started(line: &[&str]) -> Result<v1::StartRequest, CliError> {
        let line = [&["taskpass", "task", "start", "--purpose", "p"], line].concat();
        match Cli::try_parse_from(line).unwrap().command {
            Command::Task(TaskCommand::Start(args)) => start_request(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scopes_in_each_notation() {
        let expected = ["https://a#x", "https://a#y"];
        for line in [
            &["--scope", "https://a#x", "--scope", "https://a#y"][..],
            &["--scope", "https://a#x", "https://a#y"],
            &["--scope", "https://a#x,https://a#y"],
        ] {
            let request = started(line).unwrap();
            assert_eq!(request.scopes, expected);
            assert_eq!(request.ttl, None);
        }
    }

    #[test]
    fn values_are_judged_here() {
        for (rest, reason) in [
            (
                ["--scope", "https://a#x", "--ttl", "5 parsecs"],
                "INVALID_TTL",
            ),
            (["--scope", "https://a#x", "--ttl", "-5m"], "INVALID_TTL"),
            (["--scope", "https://a#x", "--ttl", "0s"], "INVALID_TTL"),
            (["--scope", "https://a#x", "--ttl", "25h"], "INVALID_TTL"),
            (["--scope", "invoices:read", "--ttl", "5m"], "INVALID_SCOPE"),
        ] {
            assert_eq!(started(&rest).unwrap_err().reason(), reason, "{rest:?}");
        }
    }
}
