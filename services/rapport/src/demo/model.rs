//! The model of how customers order: fitted once on what was loaded, as a long job that the demo waits for.

use rapport_proto::operations::v1 as op;
use rapport_proto::scoring::v1 as sc;

use super::clients::Clients;
use super::people::request_id;
use super::report::Model;
use super::trouble::Trouble;

/// Rows of one page.
const PAGE: i32 = 500;

/// Finds the model of the demo, or has it fitted. None when the data says too little for one.
pub(super) async fn fit(clients: &Clients, system: &str, until: &str) -> Result<Option<Model>, Trouble> {
    let title = format!("{system} until {until}");
    // This read waits until scoring knows of every order.
    let request = sc::ListClvModelsRequest { page_size: PAGE, ..Default::default() };
    let there = clients.read("ListClvModels", request, async |r| clients.values().list_clv_models(r).await).await?;
    if let Some(model) = there.clv_models.into_iter().find(|model| model.display_name == title) {
        return Ok(Some(told(&model)));
    }
    let request = sc::FitClvModelRequest {
        family: sc::ClvModelFamily::Auto.into(),
        observation_end: until.to_owned(),
        display_name: title.clone(),
        request_id: request_id(&["fit", &title]).to_string(),
        ..Default::default()
    };
    let mut operation =
        clients.write("FitClvModel", request, async |r| clients.values().fit_clv_model(r).await).await?;
    while matches!(operation.state(), op::OperationState::Pending | op::OperationState::Running) {
        let request = op::WaitOperationRequest { name: operation.name.clone(), timeout: None };
        operation =
            clients.read("WaitOperation", request, async |r| clients.operations().wait_operation(r).await).await?;
    }
    match operation.state() {
        op::OperationState::Succeeded => {
            let request = sc::GetClvModelRequest { name: operation.result };
            let model = clients.read("GetClvModel", request, async |r| clients.values().get_clv_model(r).await).await?;
            Ok(Some(told(&model)))
        }
        _ => match operation.error {
            Some(error) if error.reason == "NOT_ENOUGH_DATA" => Ok(None),
            error => Err(Trouble::Answer {
                method: "FitClvModel",
                what: error.map_or_else(|| "without a model".to_owned(), |error| error.message),
            }),
        },
    }
}

fn told(model: &sc::ClvModel) -> Model {
    let parameters = |all: &[sc::ModelParameter]| -> Vec<(String, f64)> {
        all.iter().map(|parameter| (parameter.name.clone(), parameter.value)).collect()
    };
    Model {
        name: model.name.clone(),
        family: family(model.family()),
        parameters: parameters(&model.parameters),
        log_likelihood: model.log_likelihood,
        alive_family: family(model.alive_family()),
        customers: model.customer_count,
        repeaters: model.repeat_customer_count,
        until: model.observation_end.clone(),
        tried: model.candidates.iter().map(|tried| (family(tried.family()), tried.log_likelihood)).collect(),
        spend: model.spend.as_ref().map(|spend| parameters(&spend.parameters)).unwrap_or_default(),
    }
}

/// The name of a family in the literature.
fn family(value: sc::ClvModelFamily) -> String {
    match value {
        sc::ClvModelFamily::Nbd => "NBD",
        sc::ClvModelFamily::BgNbd => "BG/NBD",
        sc::ClvModelFamily::MbgNbd => "MBG/NBD",
        sc::ClvModelFamily::ParetoNbd => "Pareto/NBD",
        sc::ClvModelFamily::Unspecified | sc::ClvModelFamily::Auto => "unknown",
    }
    .to_owned()
}
