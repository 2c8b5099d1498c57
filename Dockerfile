# The web page and HTTP API of nircolor, on a CPU:
#
#   docker build -t nircolor .
#   docker run --rm -p 127.0.0.1:8000:8000 nircolor
#
# To let others reach it, publish the port to them and set a token: -p 8000:8000 -e NIRCOLOR_TOKEN=secret
FROM python:3.13-slim

# needed by GDAL in the wheels of rasterio, and not part of slim images
RUN apt-get update && apt-get install --yes --no-install-recommends libexpat1 && rm -rf /var/lib/apt/lists/*

# what the build of the package reads
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY recipes recipes
COPY src src
RUN pip install --no-cache-dir -c constraints.txt '.[web]'

# uploads are temporary files; the user owns nothing else
RUN useradd --create-home nircolor
USER nircolor
WORKDIR /home/nircolor

EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=3)"]
# all addresses of the container, which only published ports reach
ENTRYPOINT ["nircolor", "serve", "--host", "0.0.0.0"]
