/**
 * The style of the page: light or dark by the reader's system, for small and large screens. No
 * external font, no image. Colours are defined once, as variables.
 */
export const STYLE = `
:root{color-scheme:light dark;--ground:#f4f5f3;--card:#fff;--ink:#16211d;--soft:#5c6a64;
--line:#dfe4e0;--main:#0b7a5b;--faint:#d3ebe2;--bad:#b3261e;--badfaint:#fbe4e2;
--web:#8a4b00}
@media(prefers-color-scheme:dark){:root{--ground:#0f1513;--card:#171f1c;--ink:#e7eeea;
--soft:#94a39c;--line:#29332f;--main:#3fd0a0;--faint:#1b3d32;--bad:#ff8a80;--badfaint:#401c1a;
--web:#f0b25e}}
*{box-sizing:border-box;margin:0}
body{background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,"Segoe UI",Roboto,
"Noto Sans","DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums;padding:2.5rem 1.25rem}
main{max-width:62rem;margin:0 auto;display:grid;gap:1rem}
header{display:flex;flex-wrap:wrap;align-items:baseline;justify-content:space-between;
gap:.25rem 1.5rem;padding:0 .25rem .5rem}
h1{font-size:1.6rem;font-weight:650;letter-spacing:-.02em;line-height:1.2;overflow-wrap:anywhere}
small{font-size:.9rem;font-weight:400;letter-spacing:0;color:var(--soft);white-space:nowrap}
h2,dt,.name{display:block;font-size:.8rem;font-weight:500;color:var(--soft)}
.up{color:var(--soft);font-size:.9rem}
.up b{color:var(--ink);font-weight:600}
.up::before{content:"";display:inline-block;width:.55rem;height:.55rem;border-radius:50%;
background:var(--main);margin-right:.55rem}
.stale .up::before{background:var(--bad)}
.stale .up::after{content:" – the tracker does not answer";color:var(--bad)}
.card{background:var(--card);border:1px solid var(--line);border-radius:.75rem;
padding:1.1rem 1.25rem;min-width:0}
.urls ul{list-style:none;padding:0}
.urls li{display:flex;align-items:center;gap:.75rem;padding:.35rem 0}
.urls li+li{border-top:1px solid var(--line)}
.urls h2{padding-bottom:.25rem}
code{font:500 .95rem/1.5 ui-monospace,"SF Mono","Cascadia Mono","DejaVu Sans Mono",Menlo,monospace;
overflow-wrap:anywhere;flex:1;user-select:all}
button{font:inherit;font-size:.8rem;font-weight:600;color:var(--main);background:var(--faint);
border:0;border-radius:.45rem;padding:.4rem .8rem;min-width:4.75rem;cursor:pointer}
button:focus-visible{outline:2px solid var(--main);outline-offset:2px}
.now b{font-size:clamp(2.4rem,8vw,3.4rem);font-weight:650;letter-spacing:-.035em;line-height:1.1}
.now{display:flex;flex-wrap:wrap;align-items:baseline;gap:0 .75rem}
.now>span{color:var(--soft)}
figure{position:relative;margin-top:1.25rem;padding-left:4.25rem}
.curve{display:block;width:100%;height:11rem;overflow:visible}
.curve .grid{stroke:var(--soft);stroke-opacity:.22;stroke-width:1;vector-effect:non-scaling-stroke}
.curve .area{fill:var(--faint)}
.curve .line{fill:none;stroke:var(--main);stroke-width:2;stroke-linejoin:round;
vector-effect:non-scaling-stroke}
.curve .web{stroke:var(--web);stroke-dasharray:5 3}
p.web{font-size:.9rem;color:var(--web)}
.tick{position:absolute;left:0;width:3.75rem;text-align:right;font-size:.75rem;color:var(--soft);
transform:translateY(-50%);line-height:1}
.tick.top{top:0}.tick.half{top:5.5rem}
figcaption{display:flex;justify-content:space-between;font-size:.75rem;color:var(--soft);
padding-top:.5rem}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:1rem}
dd{margin:0;font-size:1.55rem;font-weight:600;letter-spacing:-.02em;line-height:1.3;
overflow-wrap:anywhere}
.shares{display:grid;grid-template-columns:repeat(3,1fr);gap:1rem}
.bar{display:block;width:100%;height:.6rem;border-radius:.3rem;background:var(--faint);
margin:.6rem 0}
.bar rect{fill:var(--main)}.bar .web{fill:var(--web)}.ends .web{color:var(--web)}
.ends .web:has(:empty){display:none}
.ends{display:flex;justify-content:space-between;gap:1rem;font-size:.9rem}
.ends b{font-weight:600}
.drops{display:flex;flex-wrap:wrap;align-items:baseline;justify-content:space-between;gap:0 1.5rem}
.drops b{font-weight:600;color:var(--ink)}
.drops span{font-size:.9rem;color:var(--soft)}
.dropping .drops{background:var(--badfaint);border-color:var(--bad)}
.dropping .drops b,.dropping .drops span{color:var(--bad)}
.drops .help{display:none}.dropping .drops .help{display:inline}
footer{color:var(--soft);font-size:.8rem;padding:.5rem .25rem;text-align:center}
@media(max-width:40rem){body{padding:1.25rem .875rem}
.tiles{grid-template-columns:1fr 1fr;gap:.75rem}
.shares{grid-template-columns:1fr;gap:.75rem}main{gap:.75rem}dd{font-size:1.3rem}
.card{padding:.9rem 1rem}code{font-size:.8rem}.curve{height:8rem}.tick.half{top:4rem}}
`.replaceAll("\n", "");
