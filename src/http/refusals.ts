/**
 * Answers to malformed requests, after which the connection is closed.
 *
 * Whole answers, made once. The text is for people: a BitTorrent client shows at most the status.
 */
import { HEAD_MALFORMED, HEAD_TOO_LARGE, HEAD_VERSION, HEAD_WITHOUT_HOST } from "../net/head.ts";

export const REFUSAL_BODY = refusal("413 Content Too Large", "this request body is too large");
export const REFUSAL_FAILURE = refusal(
  "500 Internal Server Error",
  "the tracker has a bug; its log has the error",
);
export const REFUSAL_MALFORMED = refusal("400 Bad Request", "this is not an HTTP/1.1 request");

/** By verdict on a head. */
export const REFUSALS_HEAD: Readonly<Record<number, Buffer>> = {
  [HEAD_MALFORMED]: REFUSAL_MALFORMED,
  [HEAD_WITHOUT_HOST]: refusal("400 Bad Request", "HTTP/1.1 requires a Host field"),
  [HEAD_VERSION]: refusal(
    "505 HTTP Version Not Supported",
    "only HTTP/1.0 and HTTP/1.1 are supported",
  ),
  [HEAD_TOO_LARGE]: refusal(
    "431 Request Header Fields Too Large",
    "the head of this request is too large",
  ),
};

function refusal(status: string, sentence: string): Buffer {
  const fields = `Content-Length: ${sentence.length + 1}\r\nConnection: close\r\n`;
  const type = "Content-Type: text/plain\r\n";
  return Buffer.from(`HTTP/1.1 ${status}\r\n${type}${fields}\r\n${sentence}\n`);
}
