//! `TaskService`.

mod keep_alive;

use taskpass_api::v1::{self, task_service_server::TaskService};
use taskpass_broker::{Error, MAX_TREE, StartRequest, TaskFilter, TaskView, TreeNode};
use taskpass_core::ttl::MAX_TASK_TTL;
use tonic::{Request, Response, Status};

use super::{Service, convert, parse, proved, standing};
use crate::status;

#[tonic::async_trait]
impl TaskService for Service {
    async fn start(
        &self,
        request: Request<v1::StartRequest>,
    ) -> Result<Response<v1::StartResponse>, Status> {
        let caller = standing(&request)?;
        let parsed = parse_start(request.into_inner()).map_err(status::of)?;
        let started = self
            .broker
            .start_task(&caller, parsed)
            .await
            .map_err(status::of)?;
        let task = &started.task;
        Ok(Response::new(v1::StartResponse {
            task_id: task.id.to_string(),
            deadline_at: Some(convert::timestamp(task.deadline_at())),
            scopes: task.scopes.iter().map(ToString::to_string).collect(),
            clamped_by: started.clamped_by.iter().map(ToString::to_string).collect(),
            decision_id: task.decision.to_string(),
            would_deny: started.would_deny,
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetTaskRequest>,
    ) -> Result<Response<v1::GetTaskResponse>, Status> {
        let caller = standing(&request)?;
        let id = parse::task_id(&request.get_ref().task_id).map_err(status::of)?;
        let view = self.broker.task(&caller, id).await.map_err(status::of)?;
        Ok(Response::new(v1::GetTaskResponse {
            task: Some(to_task(&view)),
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListTasksRequest>,
    ) -> Result<Response<v1::ListTasksResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.into_inner();
        let (filter, page) = parse_list(request).map_err(status::of)?;
        let after = page.after().map_err(status::of)?;
        let found = self
            .broker
            .list_tasks(&caller, filter, after, page.limit)
            .await
            .map_err(status::of)?;
        Ok(Response::new(v1::ListTasksResponse {
            tasks: found.items.iter().map(to_task).collect(),
            next_page_token: parse::next_page(found.next.is_some(), found.next),
        }))
    }

    async fn tree(
        &self,
        request: Request<v1::TreeRequest>,
    ) -> Result<Response<v1::TreeResponse>, Status> {
        let caller = standing(&request)?;
        let request = request.get_ref();
        let id = parse::task_id(&request.task_id).map_err(status::of)?;
        let limit = match usize::try_from(request.limit) {
            Ok(0) | Err(_) => MAX_TREE,
            Ok(limit) => limit,
        };
        let tree = self.broker.task_tree(&caller, id, limit).await;
        let tree = tree.map_err(status::of)?;
        let node = |node: &TreeNode| v1::TreeNode {
            task: Some(to_task(&node.view)),
            credentials: node.credentials,
            exact: node.exact,
        };
        Ok(Response::new(v1::TreeResponse {
            nodes: tree.nodes.iter().map(node).collect(),
            truncated: tree.truncated,
        }))
    }

    async fn complete(
        &self,
        request: Request<v1::CompleteRequest>,
    ) -> Result<Response<v1::CompleteResponse>, Status> {
        let caller = standing(&request)?;
        let id = parse::task_id(&request.get_ref().task_id).map_err(status::of)?;
        let (task, credentials) = self
            .broker
            .complete_task(&caller, id)
            .await
            .map_err(status::of)?;
        let state = task.state(self.broker.now());
        let task = to_task(&TaskView { task, state });
        Ok(Response::new(v1::CompleteResponse {
            task: Some(task),
            credentials,
        }))
    }

    type KeepAliveStream = keep_alive::Stream;

    async fn keep_alive(
        &self,
        request: Request<v1::KeepAliveRequest>,
    ) -> Result<Response<Self::KeepAliveStream>, Status> {
        let caller = standing(&request)?;
        let proved = proved(&request)?;
        let id = parse::task_id(&request.get_ref().task_id).map_err(status::of)?;
        let kept = self
            .broker
            .keep_alive(&caller, id)
            .await
            .map_err(status::of)?;
        Ok(Response::new(self.kept_alive(kept, proved)))
    }
}

fn parse_start(request: v1::StartRequest) -> Result<StartRequest, Error> {
    Ok(StartRequest {
        scopes: parse::scope_refs(&request.scopes)?,
        ttl: parse::ttl(request.ttl, MAX_TASK_TTL)?,
        parent: optional(&request.parent_task_id)
            .map(parse::task_id)
            .transpose()?,
        agent: optional(&request.agent).map(parse::name).transpose()?,
        idempotency_key: optional(&request.idempotency_key).map(ToOwned::to_owned),
        purpose: request.purpose,
    })
}

fn parse_list(request: v1::ListTasksRequest) -> Result<(TaskFilter, parse::PageOf), Error> {
    let filter = TaskFilter {
        agent: optional(&request.agent).map(parse::name).transpose()?,
        parent: optional(&request.parent_task_id)
            .map(parse::task_id)
            .transpose()?,
        active_only: request.active_only,
    };
    Ok((filter, parse::page(request.page)))
}

fn optional(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn to_task(view: &TaskView) -> v1::Task {
    let task = &view.task;
    v1::Task {
        task_id: task.id.to_string(),
        agent: task.agent.to_string(),
        purpose: task.purpose.clone(),
        scopes: task.scopes.iter().map(ToString::to_string).collect(),
        started_at: Some(convert::timestamp(task.started_at)),
        deadline_at: Some(convert::timestamp(task.deadline_at())),
        state: convert::task_state(view.state).into(),
        ancestors: convert::ancestors(&task.ancestors),
        ended_at: task.ended.map(|ended| convert::timestamp(ended.at)),
        decision_id: task.decision.to_string(),
    }
}
