/** The style of the API reference page: one column to read, one to find, light or dark as the reader has it. */
export const STYLE = `
:root{color-scheme:light dark;--text:#1c2430;--dim:#5b6675;--line:#e2e6ec;--back:#fff;--soft:#f5f7fa;--blue:#1c5fd4;--green:#117a45;--red:#b3261e}
@media (prefers-color-scheme:dark){:root{--text:#e4e8ee;--dim:#98a3b3;--line:#2b333e;--back:#12161c;--soft:#1a2028;--blue:#7aa7ff;--green:#5fd39a;--red:#f2958e}}
*{box-sizing:border-box}html{scroll-behavior:smooth}
body{margin:0;display:grid;grid-template-columns:19rem minmax(0,1fr);font:16px/1.55 system-ui,sans-serif;color:var(--text);background:var(--back)}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1.5rem 1rem;border-right:1px solid var(--line);background:var(--soft);font-size:.85rem}
nav ul{list-style:none;margin:0;padding:0}nav li a{display:block;padding:.2rem .4rem;border-radius:.3rem;overflow-wrap:anywhere}
nav li a:hover{background:var(--line)}nav h3{margin:1.2rem .4rem .3rem;font-size:.72rem;letter-spacing:.06em;text-transform:uppercase;color:var(--dim)}
.brand{font-size:1.25rem;font-weight:700;padding:0 .4rem}a{color:inherit;text-decoration:none}main a,nav p a{color:var(--blue)}
main{padding:2.5rem 3rem 6rem;max-width:60rem}h1{font-size:2rem;margin:0 0 .5rem}h2{margin:3rem 0 .3rem;font-size:1.4rem}
.lead{color:var(--dim);margin-top:0}.note{color:var(--dim)}
article{border:1px solid var(--line);border-radius:.6rem;padding:1.1rem 1.3rem;margin:1.2rem 0;scroll-margin-top:1rem}
article:target{border-color:var(--blue)}h4{margin:0;font-size:1.05rem;overflow-wrap:anywhere}
b{display:inline-block;min-width:4.2em;font:700 .72em/1.6 ui-monospace,monospace}b.get{color:var(--green)}b.post{color:var(--blue)}b.delete{color:var(--red)}
code,pre{font:.88em/1.5 ui-monospace,SFMono-Regular,Menlo,monospace}
pre{background:var(--soft);border:1px solid var(--line);border-radius:.4rem;padding:.8rem 1rem;overflow:auto}
table{width:100%;border-collapse:collapse;margin:.8rem 0;font-size:.9rem}
th{text-align:left;font-size:.72rem;letter-spacing:.05em;text-transform:uppercase;color:var(--dim)}
td,th{padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:break-word}
.fields td:first-child{width:13rem}.fields td:nth-child(2){width:16rem}.answers td:first-child{width:13rem}.answers td:last-child{width:9rem}
.must{font-size:.72rem;color:var(--dim);white-space:nowrap}details{margin:.4rem 0}summary{cursor:pointer;font-size:.9rem;color:var(--dim)}
@media (max-width:52rem){body{display:block}nav{position:static;height:auto;max-height:40vh;border:0;border-bottom:1px solid var(--line)}
main{padding:1.5rem 1rem 4rem}article{padding:1rem}.fields,.fields tbody{display:block}.fields thead{display:none}
.fields tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--line)}.fields td,.fields td:first-child,.fields td:nth-child(2){display:block;width:auto;padding:0;border:0}
.fields td:nth-child(2){color:var(--dim)}.answers td:first-child{width:30%}.answers td:last-child{width:7.5rem}}
`;
