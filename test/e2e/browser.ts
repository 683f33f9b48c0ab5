/**
 * A browser without a window, driven over its debugging socket: opens one page, evaluates
 * expressions in it, and keeps its errors.
 *
 * https://chromedevtools.github.io/devtools-protocol/
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where Chromium is; null if it is not installed. */
export const CHROMIUM = Bun.which("chromium");

const OPTIONS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--remote-debugging-port=0",
];
const START_MILLISECONDS_MAX = 15_000;

interface Message {
  id?: number;
  method?: string;
  params?: unknown;
  result?: { result?: { value?: unknown } };
}

export class Browser implements AsyncDisposable {
  /** Violations of the page's policy, exceptions, and whatever else it logged. */
  readonly complaints: string[] = [];
  readonly #process: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #sent = 0;

  private constructor(
    process: Bun.Subprocess<"ignore", "ignore", "pipe">,
    profile: string,
    socket: WebSocket,
  ) {
    this.#process = process;
    this.#profile = profile;
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)) as Message);
  }

  /** Opens a page; throws if the browser does not start in time. */
  static async open(url: string): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), "browser-"));
    const command = [CHROMIUM!, ...OPTIONS, `--user-data-dir=${profile}`, "about:blank"];
    const process = Bun.spawn(command, { stdio: ["ignore", "ignore", "pipe"] });
    const port = await debuggingPort(process.stderr);
    const pages = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
      type: string;
      webSocketDebuggerUrl: string;
    }[];
    const page = pages.find(({ type }) => type === "page")!;
    const socket = new WebSocket(page.webSocketDebuggerUrl);
    await new Promise((resolve) => (socket.onopen = resolve));
    const browser = new Browser(process, profile, socket);
    for (const domain of ["Log", "Runtime", "Page"]) await browser.#ask(`${domain}.enable`);
    await browser.#ask("Page.navigate", { url });
    return browser;
  }

  /** The value of an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const { result } = await this.#ask("Runtime.evaluate", { expression, returnByValue: true });
    return result?.result?.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    this.#process.kill();
    await this.#process.exited;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  #ask(method: string, params: object = {}): Promise<Message> {
    const id = ++this.#sent;
    const { promise, resolve } = Promise.withResolvers<Message>();
    this.#waiting.set(id, resolve);
    this.#socket.send(JSON.stringify({ id, method, params }));
    return promise;
  }

  #take(message: Message): void {
    if (message.id !== undefined) this.#waiting.get(message.id)?.(message);
    else if (message.method === "Log.entryAdded" || message.method === "Runtime.exceptionThrown") {
      this.complaints.push(JSON.stringify(message.params));
    }
  }
}

/** The port that the browser writes to standard error. */
async function debuggingPort(stderr: ReadableStream<Uint8Array>): Promise<string> {
  const deadline = performance.now() + START_MILLISECONDS_MAX;
  const reader = stderr.getReader();
  let text = "";
  while (performance.now() < deadline) {
    const { done, value } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
    const port = /DevTools listening on ws:\/\/[^:]+:(\d+)\//.exec(text)?.[1];
    if (port === undefined) continue;
    void drain(reader);
    return port;
  }
  throw new Error(`the browser did not start\n${text}`);
}

/** Reads the output, because a full pipe would block the browser. */
async function drain(reader: { read(): Promise<{ done: boolean }> }): Promise<void> {
  while (!(await reader.read()).done);
}
