/**
 * The script of the page: it fetches new figures every two seconds while the page is visible, shows
 * them, and copies announce URLs. Without scripts the page reloads every half minute.
 *
 * All values are texts and are inserted as text, never as HTML.
 */
export const SCRIPT = `
const all=(name)=>document.querySelectorAll(name);
const put=(view)=>{
for(const place of all("[data-text]"))place.textContent=view.text[place.dataset.text];
for(const bar of all("[data-bar]"))bar.setAttribute("width",view.bars[bar.dataset.bar]);
for(const path of all("[data-path]"))path.setAttribute("d",view[path.dataset.path]);
document.body.classList.toggle("dropping",view.dropping);
};
const ask=async()=>{
if(!document.hidden){
try{
const answer=await fetch("live",{cache:"no-store"});
if(!answer.ok)throw answer.status;
put((await answer.json()).view);
document.body.classList.remove("stale");
}catch{
document.body.classList.add("stale");
}
}
setTimeout(ask,2000);
};
setTimeout(ask,2000);
for(const code of all("code")){
const button=document.createElement("button");
button.type="button";
button.textContent="Copy";
button.setAttribute("aria-label","Copy "+code.textContent);
button.onclick=async()=>{
getSelection().selectAllChildren(code);
let copied=false;
try{await navigator.clipboard.writeText(code.textContent);copied=true}
catch{copied=document.execCommand("copy")}
button.textContent=copied?"Copied":"Press Ctrl+C";
setTimeout(()=>{button.textContent="Copy"},2000);
};
code.after(button);
}
`.trim();
