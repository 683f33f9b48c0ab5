/**
 * A doubly linked list: members join at the end and leave from any position in constant time.
 *
 *   first ─► link ⇄ link ⇄ link ◄─ last
 *
 * A `Set` keeps an order, too, but finding its first member walks over deleted ones. A link is in
 * one chain at a time; a value that can be in several chains at once has a link for each.
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

  /** Moves a link to the end of this chain, from whichever chain it is in. */
  append(link: Link<Value>): void {
    link.leave();
    link.chain = this;
    link.before = this.last;
    if (this.last === undefined) this.first = link;
    else this.last.after = link;
    this.last = link;
  }
}
