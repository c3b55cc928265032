#!/usr/bin/env bash
# Renders every overlay, validates it against the Kubernetes schema, and checks that its pods are restricted.
# Needs kubectl or kustomize, and kubernetes-validate (the Python package of that name).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() {
    echo "error: $*" >&2
    exit 1
}

if command -v kubectl >/dev/null; then
    render=(kubectl kustomize)
elif command -v kustomize >/dev/null; then
    render=(kustomize build)
else
    fail "kubectl and kustomize are both missing; one of them is needed"
fi
validate=$(command -v kubernetes-validate) || fail "kubernetes-validate is missing"

# PyYAML is sure to be where kubernetes-validate is, which may be a virtual environment.
python=$(dirname "$(readlink -f "$validate")")/python3
[ -x "$python" ] || python=python3

rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT

summary=()
for overlay in "$here"/overlays/*/; do
    name=$(basename "$overlay")
    manifest=$rendered/$name.yaml
    "${render[@]}" "$overlay" >"$manifest" || fail "overlay $name does not render"
    # A kind that has no schema is only a warning there; here it is a typing error.
    if ! problems=$("$validate" --strict --quiet "$manifest" 2>&1) || [ -n "$problems" ]; then
        fail "overlay $name is not valid: $problems"
    fi
    restricted=$("$python" "$here/restricted.py" "$manifest") || fail "overlay $name is not restricted"
    summary+=("$name: $(grep -c '^kind:' "$manifest") resources are valid (strict), $restricted")
done
printf '%s\n' "${summary[@]}"
