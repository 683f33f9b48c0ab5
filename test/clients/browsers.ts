/**
 * Real WebRTC clients move a real file through the tracker alone: one seeds it with WebTorrent, the
 * other finds the seeder by the tracker's WebSocket and gets the file. A client is a page in
 * Chromium, or WebTorrent in node (hybrid.ts).
 *
 *   bun test/clients/browsers.ts
 *
 *   page of 127.0.0.1, or node ─┐ offers, answers  ┌─ page of 127.0.0.2, or node
 *                │              └──► ws, wss ◄─────┘          │
 *                └──────────────────── WebRTC ────────────────┘
 *
 * Good is: the SHA-256 is equal, a wire is of the type webrtc, as many bytes were received as the
 * file has, and the tracker counts one download. The two origins matter: tabs of one origin share
 * their files, and the second finds the file complete. It runs in a network of its own: without an
 * address and a default route Chromium gathers no candidate. Needs Linux, root, Chromium and npm.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { decodeDictionary, type Dictionary } from "../e2e/bencode.ts";
import { freePort, startTracker } from "../e2e/harness.ts";
import { makeCertificate } from "../http/openssl.ts";
import { until } from "../until.ts";
import { fetchHybrid, openHybrid } from "./hybrid.ts";

/** The library of most pages, as its users load it. */
const LIBRARY = "webtorrent@2.8.5";
const TOOLS = resolve(import.meta.dir, "../../.tools/browsers");

const ADDRESS = "10.99.0.1";
const SETUP = [
  "ip link set lo up",
  "ip link add v0 type veth peer name v1",
  `ip addr add ${ADDRESS}/24 dev v0`,
  "ip link set v0 up",
  "ip link set v1 up",
  "ip route add default via 10.99.0.2",
].join(" && ");

const CHROMIUM_OPTIONS = [
  ...["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  ...["--no-first-run", "--ignore-certificate-errors", "--remote-debugging-port=0"],
  ...["--disable-background-timer-throttling", "--disable-renderer-backgrounding"],
  ...["--disable-backgrounding-occluded-windows", "--disable-features=WebRtcHideLocalIpsWithMdns"],
];

const FILE_BYTES = 1024 * 1024;

/** What both pages do; the rest follows. */
const COMMON = `
import WebTorrent from "/webtorrent.min.js";
const parameters = new URLSearchParams(location.search);
const tracker = parameters.get("tracker");
const client = new WebTorrent({
  dht: false, lsd: false, webSeeds: false, utp: false,
  tracker: { rtcConfig: { iceServers: [] } },
});
const say = (what, value) => fetch("/say?" + what, { method: "POST", body: value });
const sha256 = async (bytes) =>
  String(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
client.on("error", (error) => say("error", String(error)));
`;

const SEED = `${COMMON}
const bytes = new Uint8Array(${FILE_BYTES});
for (let at = 0; at < bytes.length; at += 65536) {
  crypto.getRandomValues(bytes.subarray(at, at + 65536));
}
const seed = client.seed(new File([bytes], "payload.bin"), {
  announce: [tracker], name: "payload-" + Math.random() + ".bin", private: true,
});
// With the callback of seed() the first of these would be missed.
seed.on("trackerAnnounce", () => say("announced", ""));
seed.on("warning", (warning) => say("warning", String(warning)));
seed.on("seed", async () => {
  await say("hash", seed.infoHash);
  await say("sum", await sha256(bytes));
  await say("file", seed.torrentFile);
});
`;

const LEECH = `${COMMON}
const magnet = parameters.get("magnet");
const source = magnet ?? new Uint8Array(await (await fetch("/file")).arrayBuffer());
const leech = client.add(source, { announce: [tracker] });
leech.on("warning", (warning) => say("warning", String(warning)));
leech.on("wire", (wire) => say("wire", wire.type));
leech.on("done", async () => {
  await say("received", String(leech.received));
  await say("done", await sha256(await (await leech.files[0].blob()).arrayBuffer()));
});
`;

const HTML = (script: string): Response =>
  new Response(`<!doctype html><meta charset=utf-8><script type=module>${script}</script>`, {
    headers: { "Content-Type": "text/html" },
  });

type Role = "seed" | "leech";
type Client = "chromium" | "node";

/** What the clients said, by word; the last one of each. */
class Pages implements Disposable {
  said = new Map<string, Buffer>();
  readonly warnings: string[] = [];
  readonly #servers: Bun.Server<undefined>[];

  constructor() {
    this.#servers = ["127.0.0.1", "127.0.0.2"].map((hostname) =>
      Bun.serve({
        hostname,
        port: 0,
        fetch: (request) => this.#answer(new URL(request.url), request),
      }),
    );
  }

  text(word: string): string {
    return this.said.get(word)?.toString() ?? "";
  }

  /** Where the page of the seeder is, or that of the leecher. */
  origin(which: Role): string {
    const { hostname, port } = this.#servers[which === "seed" ? 0 : 1]!;
    return `http://${hostname}:${port}`;
  }

  async #answer({ pathname, search }: URL, request: Request): Promise<Response> {
    if (pathname === "/seed") return HTML(SEED);
    if (pathname === "/leech") return HTML(LEECH);
    if (pathname === "/file") return new Response(this.said.get("file"));
    if (pathname === "/say") {
      const bytes = Buffer.from(await request.arrayBuffer());
      this.said.set(search.slice(1), bytes);
      if (/warning|error/.test(search)) this.warnings.push(bytes.toString());
      return new Response("");
    }
    const library = readFileSync(join(TOOLS, "package/dist/webtorrent.min.js"));
    return new Response(library, { headers: { "Content-Type": "text/javascript" } });
  }

  [Symbol.dispose](): void {
    for (const server of this.#servers) void server.stop(true);
  }
}

/** A browser without a window. */
async function openBrowser() {
  const profile = mkdtempSync(join(tmpdir(), "browsers-"));
  const command = ["chromium", ...CHROMIUM_OPTIONS, `--user-data-dir=${profile}`, "about:blank"];
  const child = Bun.spawn(command, { stdio: ["ignore", "ignore", "ignore"] });
  const portFile = join(profile, "DevToolsActivePort");
  await until(() => existsSync(portFile) && readFileSync(portFile, "utf8").includes("\n"));
  const port = readFileSync(portFile, "utf8").split("\n")[0];
  const tabs: string[] = [];
  return {
    async open(url: string) {
      const target = `http://127.0.0.1:${port}/json/new?${encodeURIComponent(url)}`;
      const tab = (await (await fetch(target, { method: "PUT" })).json()) as { id: string };
      tabs.push(tab.id);
    },
    async closeTabs() {
      for (const id of tabs.splice(0)) await fetch(`http://127.0.0.1:${port}/json/close/${id}`);
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.exited;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

type Browser = Awaited<ReturnType<typeof openBrowser>>;

/** Counts of the swarm, as HTTP tells them. */
async function scrape(port: number, hash: string): Promise<Dictionary> {
  const escaped = hash.replace(/../g, "%$&");
  const answer = await fetch(`http://${ADDRESS}:${port}/scrape?info_hash=${escaped}`);
  const { files } = decodeDictionary(await answer.bytes());
  return Object.values(files as Record<string, Dictionary>)[0]!;
}

/** A row: who seeds, who leeches, at which URL of the tracker. */
interface Row {
  seeder: Client;
  leecher: Client;
  tracker: string;
  magnet: boolean;
}

/** Moves a file; throws with what is not as it must be. */
async function move(browser: Browser, { seeder, leecher, tracker, magnet }: Row, port: number) {
  using pages = new Pages();
  using children = new DisposableStack();
  const open = async (client: Client, role: Role, link: Record<string, string> = {}) => {
    const origin = pages.origin(role);
    if (client === "node") {
      children.use(openHybrid([origin, role, tracker, ...Object.values(link)]));
    } else {
      await browser.open(`${origin}/${role}?${new URLSearchParams({ tracker, ...link })}`);
    }
  };
  const fail = (why: string): never => {
    throw new Error(`${why}; the pages said: ${pages.warnings.join(" | ")}`);
  };
  const wait = (word: string): Promise<void> =>
    until(() => pages.said.has(word)).catch(() => fail(`nobody said ${word}`));
  await open(seeder, "seed");
  for (const word of ["file", "announced"]) await wait(word);
  const hash = pages.text("hash");
  const begun = performance.now();
  await open(leecher, "leech", magnet ? { magnet: `magnet:?xt=urn:btih:${hash}` } : {});
  for (const word of ["done", "wire"]) await wait(word);
  const seconds = (performance.now() - begun) / 1000;
  if (pages.text("done") !== pages.text("sum")) fail("the file is another");
  if (pages.text("wire") !== "webrtc") fail(`the wire is ${pages.text("wire")}`);
  if (Number(pages.text("received")) < FILE_BYTES) fail("the bytes did not come by the wire");
  await until(async () => (await scrape(port, hash))["downloaded"] === 1).catch(() =>
    fail("the download is not counted once"),
  );
  await browser.closeTabs();
  return seconds;
}

async function inside(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "browsers-tls-"));
  const { cert, key } = makeCertificate(folder, "tracker");
  const [port, tlsPort] = [freePort(), freePort()];
  const env = {
    TRACKER_HTTP_ADDRESS: `http://0.0.0.0:${port},https://0.0.0.0:${tlsPort}`,
    TRACKER_OWN_ADDRESSES: "store",
    TRACKER_TLS_CERT_FILE: cert,
    TRACKER_TLS_KEY_FILE: key,
  };
  await using _tracker = await startTracker({ port, env });
  await using browser = await openBrowser();
  const [ws, wss] = [`ws://${ADDRESS}:${port}/announce`, `wss://${ADDRESS}:${tlsPort}/announce`];
  for (const [seeder, leecher, tracker, magnet] of [
    ["chromium", "chromium", ws, false],
    ["chromium", "chromium", wss, false],
    ["chromium", "chromium", ws, true],
    ["chromium", "chromium", wss, true],
    ["node", "chromium", ws, false],
    ["chromium", "node", ws, false],
    ["node", "node", ws, false],
    ["node", "node", wss, true],
  ] as const) {
    const seconds = await move(browser, { seeder, leecher, tracker, magnet }, port);
    const how = `${tracker === ws ? "ws" : "wss"}${magnet ? ", magnet" : ""}`;
    console.log(`${seeder} -> ${leecher}, ${how}: 1 MiB over webrtc in ${seconds.toFixed(1)} s`);
  }
  rmSync(folder, { recursive: true });
}

function fetchLibrary(): void {
  mkdirSync(TOOLS, { recursive: true });
  const pack = ["npm", "pack", "--silent", LIBRARY];
  const packed = Bun.spawnSync(pack, { cwd: TOOLS, stderr: "inherit" });
  const archive = packed.stdout.toString().trim();
  const files = ["tar", "xzf", archive, "package/dist/webtorrent.min.js"];
  if (!packed.success || !Bun.spawnSync(files, { cwd: TOOLS }).success) {
    throw new Error(`${LIBRARY} could not be fetched`);
  }
}

if (process.argv.includes("--inside")) {
  await inside();
} else {
  const missing = ["ip", "unshare", "chromium", "node", "npm", "openssl"].filter(
    (tool) => Bun.which(tool) === null,
  );
  if (missing.length > 0) throw new Error(`this needs ${missing.join(", ")}`);
  fetchLibrary();
  fetchHybrid();
  const again = `exec ${process.execPath} ${import.meta.path} --inside`;
  const child = Bun.spawnSync(["unshare", "-n", "sh", "-c", `${SETUP} && ${again}`], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  process.exitCode = child.exitCode;
}
