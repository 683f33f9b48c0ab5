/**
 * What the page does where scripts run: it asks for new figures every two seconds while somebody
 * looks, puts them in their places, and copies announce URLs. Without it the page is as readable,
 * and is loaded anew every half minute.
 *
 * Everything shown comes as text and is put in as text.
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
