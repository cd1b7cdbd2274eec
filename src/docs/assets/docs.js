// Loaded before the page is drawn, so that a chosen theme does not flash.
const root = document.documentElement
root.classList.remove('no-script')
const stored = (name) => {
  try {
    return localStorage.getItem(name)
  } catch {
    return null
  }
}
const store = (name, value) => {
  try {
    localStorage.setItem(name, value)
  } catch {
    // a private window: the choice holds for this page
  }
}
if (stored('theme') !== null) root.dataset.theme = stored('theme')

document.addEventListener('DOMContentLoaded', () => {
  themeButton()
  copyButtons()
  tabs()
  search()
  revealCurrent()
})

function themeButton() {
  document.querySelector('button.theme').addEventListener('click', () => {
    const isDark =
      root.dataset.theme === undefined
        ? matchMedia('(prefers-color-scheme: dark)').matches
        : root.dataset.theme === 'dark'
    root.dataset.theme = isDark ? 'light' : 'dark'
    store('theme', root.dataset.theme)
  })
}

function copyButtons() {
  for (const block of document.querySelectorAll('.code')) {
    const button = document.createElement('button')
    button.type = 'button'
    button.className = 'copy'
    button.textContent = 'Copy'
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(block.querySelector('code').textContent.trimEnd())
      button.textContent = 'Copied'
      setTimeout(() => {
        button.textContent = 'Copy'
      }, 1500)
    })
    block.append(button)
  }
}

// All samples of a page, and of the next one, follow the language that was chosen last.
function tabs() {
  const choose = (name) => {
    for (const input of document.querySelectorAll('.tabs input')) {
      if (input.dataset.tab === name) input.checked = true
    }
  }
  if (stored('language') !== null) choose(stored('language'))
  for (const input of document.querySelectorAll('.tabs input')) {
    input.addEventListener('change', () => {
      const before = input.getBoundingClientRect().top
      choose(input.dataset.tab)
      store('language', input.dataset.tab)
      // tabs above may have changed their height
      scrollBy(0, input.getBoundingClientRect().top - before)
    })
  }
}

function search() {
  const form = document.querySelector('form.search')
  const input = form.querySelector('input')
  const list = form.querySelector('.results')
  let latest = 0
  const show = (results) => {
    list.replaceChildren(...results.slice(0, 8).map(entry))
    list.hidden = results.length === 0
  }
  input.addEventListener('input', async () => {
    const number = ++latest
    const query = input.value.trim()
    if (query === '') return show([])
    const answer = await fetch(`/docs/search.json?q=${encodeURIComponent(query)}`)
    const { results } = await answer.json()
    if (number === latest) show(results)
  })
  document.addEventListener('keydown', (event) => {
    const isTyping = /^(input|textarea|select)$/i.test(document.activeElement?.tagName ?? '')
    if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey) {
      event.preventDefault()
      input.focus()
    }
  })
  form.addEventListener('keydown', (event) => {
    const links = [...list.querySelectorAll('a')]
    const index = links.indexOf(document.activeElement)
    if (event.key === 'Escape') {
      show([])
      input.focus()
    }
    if (event.key === 'ArrowDown' && links.length > 0) {
      event.preventDefault()
      links[Math.min(index + 1, links.length - 1)].focus()
    }
    if (event.key === 'ArrowUp' && index >= 0) {
      event.preventDefault()
      ;(links[index - 1] ?? input).focus()
    }
  })
  document.addEventListener('click', (event) => {
    if (!form.contains(event.target)) show([])
  })
}

function entry({ path, title, description, section }) {
  const link = document.createElement('a')
  link.href = path
  link.role = 'option'
  for (const [tag, text] of [
    ['b', title],
    ['small', section],
    ['span', description],
  ]) {
    const part = document.createElement(tag)
    part.textContent = text
    link.append(part)
  }
  return link
}

// The page's own entry of a long navigation.
function revealCurrent() {
  const current = document.querySelector('#navigation [aria-current]')
  const navigation = document.querySelector('#navigation')
  if (current === null) return
  navigation.scrollTop = current.offsetTop - navigation.clientHeight / 2
}
