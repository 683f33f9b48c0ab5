/**
 * The same request over any transport passes the same gates in the same order: it gets the same
 * verdict, the same counter and the same sentence. A new transport is one more column in `COLUMNS`.
 */
import { describe, expect, test } from "bun:test";
import { Access, type AccessShared, openToAll } from "../../src/access/access.ts";
import { readHashFile } from "../../src/access/hash-file.ts";
import { readNetworkFile } from "../../src/access/network-file.ts";
import { type Counters, REASONS, type Transport } from "../../src/counters/counters.ts";
import * as verdicts from "../../src/gates/verdicts.ts";
import { AllowedHosts } from "../../src/notes/hosts.ts";
import { Notes, notesMemory } from "../../src/notes/notes.ts";
import { largestPrivateShare } from "../../src/notes/private-share.ts";
import { atOnce, text } from "../access/fixture.ts";
import { open, openTracker } from "../http/fixture.ts";
import { limitsOf, type Wanted } from "../limits/fixture.ts";
import { openEngine } from "../ws/fixture.ts";
import { announceOf, Desk, scrapeOf } from "../udp/fixture.ts";

const { VERDICTS } = verdicts;
const HASH = "7e9903517dd792130e2a7a1ae9a62cf2dee3cb80";
const OTHER_HASH = "00".repeat(19) + "01";

/** The operator's settings and the client's request. */
interface Scene {
  access: Partial<AccessShared>;
  limits: Partial<Wanted>;
  refusePrivate: boolean;
  from: string;
  port: number;
  /** Announces of the same peer before the one that is checked. */
  before: number;
  scrape: boolean;
}

const PLAIN: Scene = {
  access: {},
  limits: {},
  refusePrivate: false,
  from: "192.0.2.1",
  port: 6881,
  before: 0,
  scrape: false,
};

/** The reason a request is counted under, and the sentence that its client gets. */
interface Outcome {
  reason: string;
  sentence: string;
}

const KEYS = openTracker().store.memory.keys;
const hashes =
  (...lines: string[]) =>
  (keys: Int32Array) =>
    atOnce(readHashFile(text(lines.join("\n")), keys)).list.memory;
const networks = (...lines: string[]) =>
  atOnce(readNetworkFile(text(lines.join("\n")))).list.memory;

const accessOf = ({ access }: Scene): Access => new Access({ ...openToAll(KEYS), ...access });
const escaped = (hex: string): string => hex.replace(/../g, "%$&");

/** The reasons that were counted; "" if the request was answered. */
function reasonOf(counters: Counters, transport: Transport): string {
  const counted = REASONS[transport].filter((reason) => counters.total(`${transport}:${reason}`));
  return counted.join(" ");
}

const COLUMNS: Record<Transport, (scene: Scene) => Promise<Outcome>> = {
  async udp(scene) {
    const { refusePrivate, from, port } = scene;
    const desk = new Desk({ refusePrivate }, limitsOf(scene.limits).limits, accessOf(scene));
    const id = desk.id(from);
    const request = scene.scrape ? scrapeOf(id, HASH) : announceOf(id, { port });
    for (let i = 0; i < scene.before; i++) desk.ask(request, from);
    desk.zero();
    const reply = desk.ask(request, from);
    const failed = reply.startsWith("00000003");
    const sentence = failed ? Buffer.from(reply.slice(16), "hex").toString() : "";
    return { reason: reasonOf(desk.counters, "udp"), sentence };
  },
  async http(scene) {
    const { refusePrivate, from, port } = scene;
    const { limits } = limitsOf(scene.limits);
    const access = accessOf(scene);
    const http = open(openTracker(), { refusePrivate }, () => true, limits, { access });
    const target = scene.scrape
      ? `/scrape?info_hash=${escaped(HASH)}`
      : `/announce?info_hash=${escaped(HASH)}&peer_id=-LT2B0-1234567890123&port=${port}&left=1`;
    for (let i = 0; i < scene.before; i++) http.ask(target, from);
    http.counters.row.fill(0);
    const answer = http.ask(target, from);
    const body = Buffer.from(await answer.bytes()).toString("latin1");
    const sentence =
      /14:failure reason\d+:(.*?)(?:8:(?:interval|retry in).*)?e$/.exec(body)?.[1] ?? "";
    return { reason: reasonOf(http.counters, "http"), sentence };
  },
  async websocket(scene) {
    const { limits } = limitsOf(scene.limits);
    const { refusePrivate, from } = scene;
    const engine = openEngine({ limits, access: accessOf(scene), refusePrivate });
    const client = engine.join(from, "-LT2B0-1234567890123");
    const info_hash = Buffer.from(HASH, "hex").toString("latin1");
    const ask = () =>
      scene.scrape
        ? client.say({ action: "scrape", info_hash })
        : client.announce({ info_hash, left: 1 });
    for (let i = 0; i < scene.before; i++) ask();
    engine.counters.row.fill(0);
    const [reply] = ask();
    const sentence = reply?.["failure reason"] ?? "";
    return { reason: reasonOf(engine.counters, "websocket"), sentence };
  },
};

const sentenceOf = (verdict: number): string => VERDICTS[verdict].sentence;

/** A scene for each verdict that the gates give. */
const SCENES: Record<string, [verdict: number, scene: Partial<Scene>, sentence?: string]> = {
  "an announce that no gate refuses": [verdicts.VERDICT_OK, {}],
  "a client over its rate limit": [
    verdicts.VERDICT_RATE,
    { limits: { rates: { mode: "enforce" } }, before: 60 },
  ],
  "an announce that a rule drops": [
    verdicts.VERDICT_RULE_DROP,
    { limits: { rules: "drop peer-id=-LT" } },
  ],
  "an announce that a rule refuses": [
    verdicts.VERDICT_RULE,
    { limits: { rules: 'refuse "update it" peer-id=-LT' } },
    "update it",
  ],
  "an announce during maintenance": [
    verdicts.VERDICT_MAINTENANCE,
    { access: { maintenance: true } },
  ],
  "a private address, if these are refused": [
    verdicts.VERDICT_ADDRESS_PRIVATE,
    { refusePrivate: true, from: "10.0.0.1" },
  ],
  "a denied info hash": [
    verdicts.VERDICT_DENIED,
    { access: { deny: hashes(HASH)(KEYS), keys: KEYS } },
  ],
  "an info hash that is not on the allow list": [
    verdicts.VERDICT_UNLISTED,
    { access: { allow: hashes(OTHER_HASH)(KEYS), keys: KEYS } },
  ],
  "a denied network": [
    verdicts.VERDICT_NETWORK,
    { access: { networks: networks("192.0.2.0/24") } },
  ],
  "a denied client": [verdicts.VERDICT_CLIENT, { access: { denyClients: [text("-LT")] } }],
  "a client that is not on the list of clients": [
    verdicts.VERDICT_CLIENT_UNLISTED,
    { access: { allowClients: [text("-TR")] } },
  ],
  "a client on the list of clients": [
    verdicts.VERDICT_OK,
    { access: { allowClients: [text("-TR"), text("-LT2")] } },
  ],
  "an announce that is too early, which gets no peers": [
    verdicts.VERDICT_OK,
    { limits: { settings: { refuseEarly: true } }, before: 1 },
  ],
  "a scrape of a client over its rate limit": [
    verdicts.VERDICT_RATE,
    { limits: { rates: { mode: "enforce" } }, before: 60, scrape: true },
  ],
  "a scrape that a rule refuses": [
    verdicts.VERDICT_RULE,
    { limits: { rules: 'refuse "go away" network=192.0.2.0/24' }, scrape: true },
    "go away",
  ],
  "a scrape of a denied info hash during maintenance": [
    verdicts.VERDICT_OK,
    { access: { maintenance: true, deny: hashes(HASH)(KEYS), keys: KEYS }, scrape: true },
  ],
};

/** Verdicts that some transport cannot give, with the reason. */
const OF_SOME = new Map<number, string>([
  [verdicts.VERDICT_HOST, "a datagram names no host"],
  [verdicts.VERDICT_ADDRESS_UNUSABLE, "UDP drops it before it has an id"],
  [verdicts.VERDICT_ACTION, "HTTP has paths"],
  [verdicts.VERDICT_ADDRESS_UNKNOWN, "a datagram always has an address"],
  [verdicts.VERDICT_ADDRESS_PROXY, "UDP has no proxies"],
  [verdicts.VERDICT_INFO_HASH_MISSING, "a datagram has fixed fields, as for the rest"],
  [verdicts.VERDICT_INFO_HASH_SIZE, ""],
  [verdicts.VERDICT_INFO_HASH_LONG, ""],
  [verdicts.VERDICT_INFO_HASH_ESCAPE, ""],
  [verdicts.VERDICT_INFO_HASH_REPEATED, ""],
  [verdicts.VERDICT_INFO_HASH_HIDDEN, ""],
  [verdicts.VERDICT_PEER_ID, ""],
  [verdicts.VERDICT_PORT_MISSING, ""],
  [verdicts.VERDICT_PORT, ""],
  [verdicts.VERDICT_PATH, "UDP has no pages"],
  [verdicts.VERDICT_PEER_ID_TAKEN, "only WebSocket finds peers by their id"],
]);

test("every verdict has a scene, or a reason why some transport cannot give it", () => {
  const shown = new Set(Object.values(SCENES).map(([verdict]) => verdict));
  const all = [...VERDICTS.keys()];
  expect(all.filter((verdict) => shown.has(verdict) === OF_SOME.has(verdict))).toEqual([]);
});

for (const [transport, ask] of Object.entries(COLUMNS)) {
  describe(`over ${transport}`, () => {
    for (const [name, [verdict, scene, sentence = sentenceOf(verdict)]] of Object.entries(SCENES)) {
      const { reason } = VERDICTS[verdict];
      test(`${name} is ${verdict === verdicts.VERDICT_OK ? "answered" : reason}`, async () => {
        const outcome = await ask({ ...PLAIN, ...scene });
        // Over UDP a flood gets no answer, which would cost as much as answering the request.
        const silent = transport === "udp" && verdict === verdicts.VERDICT_RATE;
        expect(outcome).toEqual({
          reason: verdict === verdicts.VERDICT_OK ? "" : reason,
          sentence: silent ? "" : sentence,
        });
      });
    }

    test("the first gate that refuses decides, in the order of the gates", async () => {
      const shut: Partial<Scene> & { access: Partial<AccessShared>; limits: Partial<Wanted> } = {
        refusePrivate: true,
        from: "10.0.0.1",
        limits: { rates: { mode: "enforce" }, rules: 'refuse "a rule" peer-id=-LT' },
        access: {
          maintenance: true,
          deny: hashes(HASH)(KEYS),
          networks: networks("10.0.0.0/8"),
          denyClients: [text("-LT")],
          keys: KEYS,
        },
        before: 60,
      };
      const reasons: string[] = [];
      const open: (() => void)[] = [
        () => (shut.limits = { ...shut.limits, rates: {} }),
        () => (shut.limits = {}),
        () => (shut.access = { ...shut.access, maintenance: false }),
        () => (shut.refusePrivate = false),
        () => (shut.access = { ...shut.access, deny: undefined }),
        () => (shut.access = { ...shut.access, networks: undefined }),
        () => (shut.access = { ...shut.access, denyClients: [] }),
      ];
      for (const next of open) {
        reasons.push((await ask({ ...PLAIN, ...shut })).reason);
        next();
      }
      reasons.push((await ask({ ...PLAIN, ...shut })).reason);
      expect(reasons).toEqual([
        "rate",
        "rule",
        "maintenance",
        "address",
        "denied",
        "network",
        "client",
        "",
      ]);
    });
  });
}

test("over HTTP the host name is judged after the rules and before maintenance", () => {
  const allowedHosts = new AllowedHosts(["tracker.example.org"]);
  const access = new Access({ ...openToAll(KEYS), maintenance: true });
  const { limits } = limitsOf({ rules: "drop port=1" });
  const http = open(openTracker(), {}, () => true, limits, { access, allowedHosts });
  const target = (port: number) =>
    `/announce?info_hash=${escaped(HASH)}&peer_id=-LT2B0-1234567890123&port=${port}&left=1`;
  http.ask(target(6881), "192.0.2.1", { headers: { Host: "other.example" } });
  expect(reasonOf(http.counters, "http")).toBe("query");
  http.ask(target(1), "192.0.2.1", { headers: { Host: "other.example" } });
  expect(reasonOf(http.counters, "http")).toBe("query rule");
});

test.each([false, true])("a NAT is noted, whether private addresses are refused: %p", (refuse) => {
  const shared = notesMemory(1, { tickSeconds: 45, minimumSeconds: 900 });
  const notes = new Notes(shared, 0);
  const settings = { refusePrivate: refuse };
  const http = open(openTracker(), settings, () => true, undefined, { notes });
  const query = `info_hash=${escaped(HASH)}&peer_id=-LT2B0-1234567890123&left=1`;
  for (let port = 5000; port < 5024; port++) {
    http.ask(`/announce?${query}&port=${port}`, port % 2 === 0 ? "10.5.5.5" : "8.8.4.4");
  }
  expect(largestPrivateShare(shared.privateShare)).toBeCloseTo(0.5, 1);
});
