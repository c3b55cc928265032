// Keeps an open page up to date, and spares people clicks. Every page works without it.
'use strict';

(() => {
  const lost = document.getElementById('lost');

  // Menus close with Escape, and when the focus or a click goes elsewhere.
  const close = (except) => {
    for (const menu of document.querySelectorAll('details.menu[open]')) {
      if (!menu.contains(except)) menu.open = false;
    }
  };
  document.addEventListener('click', (event) => close(event.target));
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    const open = document.querySelector('details.menu[open]');
    close(null);
    open?.querySelector('summary').focus();
  });

  // A filter is applied as soon as it is chosen.
  document.addEventListener('change', (event) => {
    const form = event.target.closest('form[data-at-once]');
    if (form) form.requestSubmit();
  });

  // A file may be dropped on its field, and is sent at once.
  for (const place of document.querySelectorAll('form[data-drop]')) {
    const field = place.querySelector('input[type=file]');
    place.addEventListener('dragover', (event) => {
      event.preventDefault();
      place.classList.add('over');
    });
    place.addEventListener('dragleave', () => place.classList.remove('over'));
    place.addEventListener('drop', (event) => {
      event.preventDefault();
      place.classList.remove('over');
      if (event.dataTransfer.files.length === 0) return;
      field.files = event.dataTransfer.files;
      place.requestSubmit();
    });
  }

  const { liveFrom: from, livePage: page } = document.body.dataset;
  if (!from) return;

  // Parts of the page that have changed are exchanged; what somebody is typing into stays.
  let fetching = false;
  let again = false;
  const refresh = async () => {
    if (fetching) {
      again = true;
      return;
    }
    fetching = true;
    try {
      const answer = await fetch(page, { headers: { accept: 'text/html' }, redirect: 'follow' });
      if (answer.redirected) {
        location.assign(answer.url);
        return;
      }
      if (!answer.ok) throw new Error(answer.statusText);
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
      for (const part of document.querySelectorAll('[data-live]')) {
        const other = fresh.getElementById(part.id);
        if (!other || other.outerHTML === part.outerHTML) continue;
        if (part.querySelector('form :focus')) continue;
        const focus = part.contains(document.activeElement) ? document.activeElement.id : '';
        // What somebody has scrolled to stays in sight.
        const scrolled = [...part.querySelectorAll('.scroll')].map((box) => [box.scrollLeft, box.scrollTop]);
        const next = document.importNode(other, true);
        part.replaceWith(next);
        next.querySelectorAll('.scroll').forEach((box, index) => box.scrollTo(...(scrolled[index] ?? [0, 0])));
        if (focus) document.getElementById(focus)?.focus();
      }
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    } finally {
      fetching = false;
      if (again) {
        again = false;
        refresh();
      }
    }
  };

  // A browser opens few connections to a host: pages that nobody sees leave theirs to others.
  let source;
  const listen = () => {
    if (document.hidden || source) return;
    source = new EventSource(from);
    // What happened before somebody listened is fetched: also what did between the page and its first word.
    source.addEventListener('hello', refresh);
    source.addEventListener('changed', refresh);
    source.addEventListener('error', () => {
      lost.hidden = false;
      // Browsers give up when they get an answer that is none: the service may be on its way up, or the session has ended,
      // which the page itself says.
      if (source?.readyState !== EventSource.CLOSED) return;
      source = undefined;
      refresh();
      setTimeout(listen, 3000 + Math.random() * 3000);
    });
  };
  listen();
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      source?.close();
      source = undefined;
    } else {
      listen();
    }
  });
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) refresh();
  });
})();
