//! Reading a listing page by page, up to a limit.

use taskpass_api::v1;

use crate::cli::PageArgs;
use crate::errors::CliError;
use crate::view::listing::Listing;

/// What a broker gives at most in one page.
const PAGE: u32 = 1000;

/// Reads pages until the end or the limit.
pub(crate) async fn read<T>(
    args: &PageArgs,
    mut fetch: impl AsyncFnMut(v1::PageRequest) -> Result<(Vec<T>, String), CliError>,
) -> Result<Listing<T>, CliError> {
    let mut items = Vec::new();
    let mut page_token = args.page_token.clone();
    loop {
        let read = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let page_size = args.limit.saturating_sub(read).min(PAGE);
        if page_size == 0 {
            break;
        }
        let (page, next) = fetch(v1::PageRequest {
            page_size,
            page_token: page_token.clone(),
        })
        .await?;
        // A broker that does not get on would be asked for ever.
        if !next.is_empty() && next == page_token {
            return Err(CliError::bad_reply("further page"));
        }
        items.extend(page);
        page_token = next;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(Listing {
        items,
        next_page_token: page_token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(limit: u32) -> PageArgs {
        PageArgs {
            limit,
            page_token: String::new(),
        }
    }

    /// A broker with `total` items, whose tokens are offsets.
    async fn read_from(total: u32, limit: u32) -> (Vec<u32>, String, usize) {
        let mut calls = 0;
        let listing = read(&args(limit), async |page| {
            calls += 1;
            let from: u32 = page.page_token.parse().unwrap_or(0);
            let to = total.min(from + page.page_size);
            let next = if to < total {
                to.to_string()
            } else {
                String::new()
            };
            Ok(((from..to).collect(), next))
        })
        .await
        .unwrap();
        (listing.items, listing.next_page_token, calls)
    }

    #[tokio::test]
    async fn reads_to_the_end_or_the_limit() {
        for (total, limit, read, next, calls) in [
            (0, 1000, 0, "", 1),
            (7, 1000, 7, "", 1),
            (2500, 5000, 2500, "", 3),
            (2500, 1500, 1500, "1500", 2),
            (7, 3, 3, "3", 1),
            (7, 0, 0, "", 0),
        ] {
            let (items, token, asked) = read_from(total, limit).await;
            assert_eq!(
                (items.len(), token.as_str(), asked),
                (read, next, calls),
                "{total} {limit}"
            );
            assert!(
                items
                    .iter()
                    .copied()
                    .eq(0..u32::try_from(items.len()).unwrap())
            );
        }
    }

    #[tokio::test]
    async fn a_broker_that_does_not_get_on_is_left() {
        let stuck = read(&args(10), async |_| Ok((vec![0_u8], "same".to_owned()))).await;
        assert_eq!(stuck.unwrap_err().reason(), "BAD_REPLY");
    }
}
