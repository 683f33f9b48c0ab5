/**
 * A chain: a list whose members join at its end and leave from anywhere, in constant time.
 *
 *   first ─► link ⇄ link ⇄ link ◄─ last
 *
 * A `Set` keeps an order as well, but finding its first member walks over those that have left. A
 * link is made once for each list its value may be in, and is in one chain of them at a time.
 */
export class Link<Value> {
  readonly value: Value;
  chain: Chain<Value> | undefined;
  before: Link<Value> | undefined;
  after: Link<Value> | undefined;

  constructor(value: Value) {
    this.value = value;
  }

  /** Leaves the chain it is in, if it is in one. */
  leave(): void {
    const { chain, before, after } = this;
    if (chain === undefined) return;
    if (before === undefined) chain.first = after;
    else before.after = after;
    if (after === undefined) chain.last = before;
    else after.before = before;
    this.chain = this.before = this.after = undefined;
  }

  /** Becomes the last of its chain, if it is in one. */
  moveToEnd(): void {
    if (this.after !== undefined) this.chain!.append(this);
  }
}

export class Chain<Value> {
  first: Link<Value> | undefined;
  last: Link<Value> | undefined;

  /** Puts a link at the end, wherever it was. */
  append(link: Link<Value>): void {
    link.leave();
    link.chain = this;
    link.before = this.last;
    if (this.last === undefined) this.first = link;
    else this.last.after = link;
    this.last = link;
  }
}
