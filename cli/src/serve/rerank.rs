//! `POST /v1/rerank`, as Jina and Cohere have it: texts by how well they answer a query.

use std::sync::Arc;

use axum::{Json, response::IntoResponse};
use lantern_engine::ranking;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    App,
    error::ApiError,
    fields::{Table, harmless, needed, taken},
    routes::{Answer, Asked},
};

/// Texts of one request at most.
const DOCUMENTS_MAX: usize = 2048;

/// Fields of a request.
pub const TABLE: Table = Table {
    lists: &[&[
        taken("model", "string"),
        needed("query", "string"),
        needed("documents", "texts"),
        taken("top_n", "integer"),
        taken("return_documents", "boolean"),
        harmless("user"),
    ]],
    samples: false,
};

#[derive(Deserialize)]
#[serde(untagged, expecting = "a text, or an object that has one as `text`")]
enum Document {
    Text(String),
    Fields { text: String },
}

/// Answers with the texts' numbers and scores, the best first.
pub async fn rerank(app: Arc<App>, asked: Asked) -> Answer {
    let mut fields = asked.fields()?;
    let held = app.model(&mut fields).await?;
    let query: String = fields.need("query")?;
    let documents: Vec<Document> = fields.need("documents")?;
    if documents.is_empty() || documents.len() > DOCUMENTS_MAX {
        let message = format!(
            "documents are 1 to {DOCUMENTS_MAX}, not {}",
            documents.len()
        );
        return Err(ApiError::bad(message, Some("documents")));
    }
    let most = fields.take::<usize>("top_n")?.unwrap_or(documents.len());
    let returned = fields.take("return_documents")?.unwrap_or(false);
    fields.finish()?;
    let texts = documents.into_iter().map(|document| match document {
        Document::Text(text) | Document::Fields { text } => text,
    });
    let texts: Vec<String> = texts.collect();
    let model = held.model();
    let pair = |text: &String| model.rank_prompt().encode(model.tokenizer(), &query, text);
    let tokens = texts.iter().map(pair).collect::<Result<Vec<_>, _>>()?;
    let count: usize = tokens.iter().map(Vec::len).sum();
    let scores = held.texts.scores(tokens).await?;
    let results: Vec<Value> = ranking(&scores)
        .into_iter()
        .take(most)
        .map(|index| {
            let score = scores[index].first().copied().unwrap_or_default();
            let mut result = json!({"index": index, "relevance_score": score});
            if returned {
                result["document"] = json!({"text": texts[index]});
            }
            result
        })
        .collect();
    let answer = json!({
        "model": held.name, "object": "list", "results": results,
        "usage": {"prompt_tokens": count, "total_tokens": count},
    });
    Ok(Json(answer).into_response())
}
