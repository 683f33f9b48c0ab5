/**
 * The statements on HTTP connections, as a table: old clients, and those that keep a connection.
 */
import { type HttpWire, readAnnounce } from "./http-wire.ts";
import { type Check, hold, NotTried, ownPeer } from "./statements.ts";

export const CONNECTION_CHECKS: Check<HttpWire>[] = [
  {
    id: "BEP3.http-1.0",
    weight: "should",
    says: "HTTP/1.0 without Host, as of ctorrent, is served",
    async run(wire) {
      const target = wire.target(ownPeer());
      const { answers } = await wire.converse("HTTP/1.0", false, [target]);
      readAnnounce(answers[0]);
    },
  },
  {
    id: "BEP3.keep-alive",
    weight: "should",
    says: "a connection stays open for a second request, unless the answer says that it closes",
    async run(wire) {
      const targets = [wire.target(ownPeer()), wire.target(ownPeer())];
      const { answers } = await wire.converse("HTTP/1.1", true, targets);
      for (const answer of answers) readAnnounce(answer);
    },
  },
  {
    id: "BEP3.length",
    weight: "should",
    says: "an answer that does not close the connection says where it ends",
    async run(wire) {
      const target = wire.target(ownPeer());
      const { answers, firstLine } = await wire.converse("HTTP/1.1", true, [target]);
      const { fields } = answers[0];
      if (firstLine.startsWith("HTTP/1.0")) throw new NotTried("the answer is HTTP/1.0");
      const told = fields.has("content-length") || fields.has("transfer-encoding");
      hold(told || fields.get("connection")?.toLowerCase() === "close", "it does not");
    },
  },
];
